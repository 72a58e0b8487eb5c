"""Units in a row that read ``Given … When … Then …`` -> scenes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.llm.offline.signals import leading_id, obligation, step_of
from orchestrator.llm.offline.structure import GHERKIN, Unit, UnitKind, gherkin_units

_TITLE = re.compile(r"^(?:Scenario(?: Outline| Template)?(?: \d{1,4})?|Example)\s*[:–—-]\s*(.*)$")  # noqa: RUF001 - dashes as typed


class SceneStep(msgspec.Struct, frozen=True):
    """Keyword, words and line of one step."""

    keyword: str
    text: str
    line: int


class Scene(msgspec.Struct, frozen=True):
    """A scenario as a document tells it: ``unit`` is its first step, ``line`` that of its title where it has one."""

    unit: Unit
    name: str
    line: int | None
    steps: tuple[SceneStep, ...]


def scenes(units: Sequence[Unit]) -> list[Unit | Scene]:
    """The same units in order, with those that are the steps of a scenario gathered into it.

    A scenario has a Given or When and, after it, a Then; steps that do not come to that stay units. A title line
    (``Scenario: …``) goes with its scenario. Fenced Gherkin is read as if it stood in the text.
    """
    flat = [inner for unit in units for inner in _opened(unit)]
    gathered: list[Unit | Scene] = []
    index = 0
    while index < len(flat):
        end = _end_of_steps(flat, index)
        scene = _scene(flat, index, end) if end > index else None
        if scene is None:
            gathered.extend(flat[index : max(end, index + 1)])
        else:
            if scene.line is not None and gathered:
                gathered.pop()
            gathered.append(scene)
        index = max(end, index + 1)
    return gathered


def _opened(unit: Unit) -> Iterator[Unit]:
    if unit.kind is UnitKind.CODE and unit.language in GHERKIN:
        yield from gherkin_units(unit)
    else:
        yield unit


def _end_of_steps(units: Sequence[Unit], begin: int) -> int:
    """Where the steps that begin at ``begin`` end: before what is no step, and before the next scenario's Given."""
    index, seen_then = begin, False
    while index < len(units):
        unit = units[index]
        step = step_of(unit.text) if unit.kind in {UnitKind.ITEM, UnitKind.SENTENCE} else None
        if step is None or (index == begin and step[0] not in {"Given", "When"}):
            break
        if (step[0] == "Given" and index > begin) and (seen_then or step_of(units[index - 1].text) is None):
            break
        if step[0] == "When" and seen_then and not _continues(units, begin):
            break
        seen_then = seen_then or step[0] == "Then"
        index += 1
    return index


def _continues(units: Sequence[Unit], begin: int) -> bool:
    first = step_of(units[begin].text)
    return first is not None and first[0] == "Given"


def _scene(units: Sequence[Unit], begin: int, end: int) -> Scene | None:
    steps = []
    for unit in units[begin:end]:
        step = step_of(unit.text)
        if step:
            steps.append(SceneStep(step[0], step[1].rstrip(" ,;."), unit.line))
    steps = [step for step in steps if step.text]
    if not any(step.keyword == "Then" for step in steps) or steps[0].keyword not in {"Given", "When"}:
        return None
    name = _title(units[begin - 1], units[begin]) if begin else None
    line = units[begin - 1].line if name is not None else None
    return Scene(units[begin], name or "", line, tuple(steps))


def _title(before: Unit, first: Unit) -> str | None:
    """What ``before`` calls the scenario that begins with ``first``; None where it is no title."""
    if before.kind not in {UnitKind.ITEM, UnitKind.SENTENCE}:
        return None
    titled = _TITLE.match(before.text)
    if titled:
        return titled.group(1)
    above = before.kind is UnitKind.ITEM and before.depth < first.depth
    named = leading_id(before.text)[0] is not None and obligation(before.text) is None
    return before.text.rstrip(" :") if above or (named and not before.text.endswith(".")) else None
