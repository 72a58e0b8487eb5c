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
            streams = self._streams.get(membership, set())
            streams.discard(on_lost)
            if not streams:
                self._streams.pop(membership, None)

        return leave

    async def check(self) -> None:
        """Ask for the roles of everybody who watches now, and end what they no longer allow.

        Raises whatever the store raises; then nobody has lost anything.
        """
        asked = tuple(self._streams)
        roles = await self._accounts.roles(asked)
        for membership in asked:
            if not may(roles.get(membership), Action.STREAM):
                for on_lost in self._streams.pop(membership, set()):
                    on_lost()
