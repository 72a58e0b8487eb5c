"""Live streams follow the roles: who may no longer watch a project's runs loses them within seconds."""

from __future__ import annotations

from collections.abc import Callable

from realtime.ports import Accounts, Membership
from realtime.roles import Action, may


class AccessWatch:
    """Every live stream with the membership that allows it. One question to the store serves them all."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._streams: dict[Membership, set[Callable[[], None]]] = {}

    def watch(self, membership: Membership, on_lost: Callable[[], None]) -> Callable[[], None]:
        """Have ``on_lost`` called once, as soon as it is known that the membership allows no streaming any more.

        Call the function returned when the stream has ended; it may be called more than once.
        """
        self._streams.setdefault(membership, set()).add(on_lost)

        def leave() -> None:
            self._leave(membership, on_lost)

        return leave

    async def check(self) -> None:
        """Ask for the roles of everybody who watches now, and end what they no longer allow.

        Who came while the question was under way was let in by a newer answer, and stays. Raises whatever the store
        raises; then nobody has lost anything.
        """
        asked = {membership: tuple(streams) for membership, streams in self._streams.items()}
        roles = await self._accounts.roles(tuple(asked))
        for membership, streams in asked.items():
            if not may(roles.get(membership), Action.STREAM):
                for on_lost in streams:
                    if self._leave(membership, on_lost):
                        on_lost()

    def _leave(self, membership: Membership, on_lost: Callable[[], None]) -> bool:
        """Forget a stream; False: it had left already."""
        streams = self._streams.get(membership, set())
        if on_lost not in streams:
            return False
        streams.remove(on_lost)
        if not streams:
            del self._streams[membership]
        return True
