"""What somebody is in a project, and what that allows: the one table of permissions. Pure."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a user is in a project."""

    OWNER = "owner"
    ADMIN = "admin"
    PM_CSM = "pm-csm"
    QA_MANUAL = "qa-manual"
    QA_AUTOMATION = "qa-automation"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Action(StrEnum):
    """What can be done in a project."""

    READ = "read"
    """See its documents, runs and artifacts."""
    STREAM = "stream"
    """Watch its runs live."""
    START_RUN = "start_run"
    """Start a run, or do one again."""
    CANCEL_RUN = "cancel_run"
    WRITE_DOCUMENTS = "write_documents"


_RUNS_AGENTS = frozenset({Role.OWNER, Role.ADMIN, Role.QA_AUTOMATION})

PERMISSIONS: dict[Action, frozenset[Role]] = {
    Action.READ: frozenset(Role),
    Action.STREAM: _RUNS_AGENTS,
    Action.START_RUN: _RUNS_AGENTS,
    Action.CANCEL_RUN: _RUNS_AGENTS,
    Action.WRITE_DOCUMENTS: _RUNS_AGENTS | {Role.PM_CSM, Role.QA_MANUAL},
}


def may(role: str | None, action: Action) -> bool:
    """True where somebody with ``role`` (None: no member) may do ``action``."""
    return role in PERMISSIONS[action]
