"""What every endpoint works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from realtime.access import AccessWatch
from realtime.board import Board
from realtime.broadcaster import Broadcaster
from realtime.counts import RunCounts, SpendingCounts
from realtime.frames import Limits
from realtime.metrics import Metrics
from realtime.origins import Origins
from realtime.ports import Accounts, EventLog, RunService
from realtime.quotas import Quotas
from realtime.readiness import Readiness
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
    spending: SpendingCounts = field(default_factory=SpendingCounts)
    run_counts: RunCounts = field(default_factory=RunCounts)

    @cached_property
    def origins(self) -> Origins:
        """Which pages may use this server, by its settings."""
        return Origins(self.settings.public_url, self.settings.allowed_origins)

    @cached_property
    def board(self) -> Board:
        """The projects that are watched here; it is told of what is published here."""
        board = Board(self.runs)
        self.broadcaster.on_publish = board.touch
        self.metrics.projects_watched.set_function(lambda: len(board))
        return board

    @cached_property
    def metrics(self) -> Metrics:
        """What is counted."""
        metrics = Metrics(self.broadcaster.counts, self.spending, self.run_counts)
        metrics.runs_in_memory.set_function(lambda: self.broadcaster.runs)
        metrics.tail_bytes.set_function(lambda: self.broadcaster.tail_bytes)
        return metrics

    @cached_property
    def quotas(self) -> Quotas:
        """What everybody may have and do, by the settings; refusals are counted."""
        quotas = Quotas(self.settings, self.metrics.refused)
        self.metrics.subscriptions.set_function(lambda: quotas.subscriptions.taken)
        return quotas

    @cached_property
    def readiness(self) -> Readiness:
        """Whether what is kept can be used now."""
        return Readiness(self.runs.is_available, self.metrics.store_available)
