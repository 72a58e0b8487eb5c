"""Lists that are shown a page at a time: each names the place from which the next one goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

DOCUMENTS_PER_PAGE = 200
RUNS_PER_PAGE = 50
ARTIFACTS_PER_PAGE = 200

Item = TypeVar("Item")


class ListPage(NamedTuple, Generic[Item]):
    """Some items of a list, and the ``last`` of them where others follow; None: the list ends here."""

    items: Sequence[Item]
    last: Item | None

    @classmethod
    def of(cls, read: Sequence[Item], size: int) -> ListPage[Item]:
        """The page at the beginning of what was ``read``: one item more than its ``size``, if there are so many."""
        return cls(read[:size], read[size - 1] if len(read) > size else None)
