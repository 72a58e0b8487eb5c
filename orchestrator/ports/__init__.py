"""What running a pipeline needs from outside, as protocols.

Every function of a store is one unit of work: it happens whole or not at all, also when its caller is cancelled.
"""

from orchestrator.ports.agents import (
    Agent,
    AgentResult,
    Context,
    LanguageModel,
    ModelChunk,
    ModelProgress,
    ModelRequest,
    ModelText,
    ModelUsage,
    Report,
)
from orchestrator.ports.stores import LEASE_S, DocumentStore, RunStore
from orchestrator.ports.surroundings import Clock, Publisher

__all__ = [
    "LEASE_S",
    "Agent",
    "AgentResult",
    "Clock",
    "Context",
    "DocumentStore",
    "LanguageModel",
    "ModelChunk",
    "ModelProgress",
    "ModelRequest",
    "ModelText",
    "ModelUsage",
    "Publisher",
    "Report",
    "RunStore",
]
