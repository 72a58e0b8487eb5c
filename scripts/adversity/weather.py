"""What happens to connections on their way: one thing at a time to one of them, drawn from a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from proxy import Link, Proxy

LONGEST_CALM_S = 1.0
SHORTEST_TROUBLE_S, LONGEST_TROUBLE_S = 0.2, 3.0
SLOW_BYTES_PER_S = 3000


class Weather:
    """Troubles the links of a proxy. ``counts``: how often it has done what."""

    def __init__(self, proxy: Proxy, draw: random.Random) -> None:
        self.counts: Counter[str] = Counter(cuts=0, stalls=0, throttles=0, halves=0)
        self._proxy = proxy
        self._draw = draw

    async def blow(self) -> None:
        """Trouble a link now and then, until cancelled; then whatever is left flows."""
        try:
            async with asyncio.TaskGroup() as troubles:
                while True:
                    await asyncio.sleep(self._draw.uniform(0, LONGEST_CALM_S))
                    if self._proxy.links:
                        self._trouble(self._draw.choice(self._proxy.links), troubles)
        finally:
            for link in self._proxy.links:
                link.flow()

    def _trouble(self, link: Link, troubles: asyncio.TaskGroup) -> None:
        kind = self._draw.choice(sorted(self.counts))
        self.counts[kind] += 1
        match kind:
            case "cuts":
                link.cut()
            case "halves":
                link.halve(lose_server=self._draw.random() < 0.5)
            case "stalls":
                link.stall()
                troubles.create_task(self._heal(link))
            case _:
                link.throttle(SLOW_BYTES_PER_S)
                troubles.create_task(self._heal(link))

    async def _heal(self, link: Link) -> None:
        await asyncio.sleep(self._draw.uniform(SHORTEST_TROUBLE_S, LONGEST_TROUBLE_S))
        link.flow()
