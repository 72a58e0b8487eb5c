"""What tenants spend on language models in a calendar month (UTC): in numbers, and who keeps and watches these."""

from __future__ import annotations

from datetime import date
from typing import Protocol

import msgspec

from orchestrator.errors import BudgetExceededError, TokensReservedError
from orchestrator.records import Claim

WARNING_SHARE = 0.8
"""From this share of the limit on, people are told."""


class MonthUsage(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's tokens in a month: those ``spent``, and those that calls under way have put aside."""

    month: str
    """As ``2026-11``."""
    spent: int
    reserved: int

    @property
    def resets_at(self) -> str:
        """When the next month begins, and with it the whole limit: RFC 3339, UTC."""
        first = date.fromisoformat(f"{self.month}-01")
        following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        return f"{following.isoformat()}T00:00:00.000Z"

    def remaining(self, limit: int) -> int:
        """How many tokens another call may have; 0: no call may begin."""
        return max(0, limit - self.spent - self.reserved)

    def share(self, limit: int) -> float:
        """What part of the limit is spent; of a limit of 0 all."""
        return self.spent / limit if limit else 1.0

    def is_warning(self, limit: int) -> bool:
        """True where so much is spent that people are told."""
        return self.share(limit) >= WARNING_SHARE

    def check(self, limit: int | None) -> None:
        """Let another call begin, however large it is; None: no limit.

        Raises:
            TokensReservedError: nothing is left before a call that is under way ends.
            BudgetExceededError: nothing is left; the text says of how much, and when there is more.

        """
        self.check_spent(limit)
        if limit is not None and not self.remaining(limit):
            raise TokensReservedError(
                f"The {limit} tokens for {self.month} are spent ({self.spent}) "
                f"and put aside by calls under way ({self.reserved})."
            )

    def check_spent(self, limit: int | None) -> None:
        """Let another run begin: there are tokens left, if only those that calls under way have put aside.

        Raises:
            BudgetExceededError: all are spent.

        """
        if limit is not None and self.spent >= limit:
            raise BudgetExceededError(
                f"The {limit} tokens for {self.month} are used up ({self.spent} spent); "
                f"they start anew on {self.resets_at[:10]} at 00:00 UTC."
            )


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that one call has put aside, to be settled by its ``id``; and the month's tokens before that."""

    id: str
    tokens: int
    usage: MonthUsage


class TokenStore(Protocol):
    """The tokens of all tenants. Months begin by the store's clock."""

    async def reserve(self, claim: Claim, tokens: int, limit: int | None) -> Reservation:
        """Put ``tokens`` aside for a call of the claimed run, or as many as are left: at least one.

        Exact however many ask at once, from whatever process: what is spent and put aside never passes ``limit``
        by reserving. None: there is no limit, and all is counted.

        Raises:
            TokensReservedError: nothing is left before a call that is under way ends.
            BudgetExceededError: nothing is left.
            ClaimLostError: the run has ended or is another worker's now.

        """
        ...

    async def settle(self, tenant: str, reservation_id: str, tokens: int) -> MonthUsage | None:
        """Count what a call really took as spent, in place of what it had put aside; the tokens of its month then.

        None: it was settled before, or written off because its claim died. That changes nothing any more.
        """
        ...

    async def usage(self, tenant: str) -> MonthUsage:
        """What the tenant has spent and put aside in this month. A tenant that does not exist: nothing."""
        ...


class SpendingObserver(Protocol):
    """Who counts what calls come to. Cheap, and never raises."""

    def spent(self, agent_type: str, tokens: int) -> None:
        """A call of that agent took so many tokens."""
        ...

    def used(self, tenant: str, month: str, share: float) -> None:
        """The tenant has used that part of its limit for the month; from 1.0 on all of it."""
        ...

    def warned(self) -> None:
        """A call began with most of the month's tokens used."""
        ...

    def refused(self) -> None:
        """A call or a run was not begun because nothing was left."""
        ...
