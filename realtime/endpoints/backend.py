"""What every endpoint works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from realtime.access import AccessWatch
from realtime.broadcaster import Broadcaster
from realtime.frames import Limits
from realtime.ports import Accounts, EventLog, RunService
from realtime.settings import Settings
from realtime.tokens import Tokens


@dataclass(frozen=True)
class Backend:
    """The parts that a server is assembled from, and its settings."""

    settings: Settings
    runs: RunService
    log: EventLog
    accounts: Accounts
    tokens: Tokens
    broadcaster: Broadcaster
    access: AccessWatch
    limits: Limits = field(default_factory=Limits)
