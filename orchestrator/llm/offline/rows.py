"""What a table row says, by the titles of its columns."""

from __future__ import annotations

import msgspec

from orchestrator.llm.offline import places, signals
from orchestrator.llm.offline.signals import Priority
from orchestrator.llm.offline.structure import Unit


class RowWords(msgspec.Struct, frozen=True):
    """The words to quote, everything the row says, its id and priority where it has them.

    ``has_status`` is whether a column made for it holds a status code.
    """

    text: str
    said: str
    found_id: str | None
    priority: Priority | None
    has_status: bool


def row_words(unit: Unit) -> RowWords:
    """A table row in words. One that is about an endpoint or a status is quoted whole, method before path."""
    said = _joined(unit)
    found_id = next((found for found, rest in map(signals.leading_id, _texts(unit)) if found and not rest), None)
    has_status = any(
        places.holds_status(title) and signals.status_codes(cell, expected=True) for title, cell in unit.cells
    )
    text = next((cell for title, cell in unit.cells if places.holds_text(title) and cell), unit.text)
    if found_id is None and (has_status or signals.endpoints(said) or not signals.obligation(text)):
        text = said
    priorities = (signals.priority_word(cell) for title, cell in unit.cells if places.holds_priority(title))
    return RowWords(text, said, found_id, next((each for each in priorities if each), None), has_status)


def _texts(unit: Unit) -> list[str]:
    return [cell for _, cell in unit.cells if cell]


def _joined(unit: Unit) -> str:
    cells = _texts(unit)
    method = next((cell for cell in cells if cell in signals.METHODS), None)
    path = next((cell for cell in cells if cell.startswith("/")), None)
    if method is None or path is None:
        return " · ".join(cells)
    return " · ".join([f"{method} {path}", *(cell for cell in cells if cell not in {method, path})])
