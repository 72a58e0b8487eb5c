"""The one tree of errors that the orchestrator raises. Every message says what was observed and what was expected."""

from __future__ import annotations


class OrchestratorError(Exception):
    """Base of every error raised here. ``code`` is stable and goes to clients; the text is for people."""

    code = "INTERNAL"


class InvalidRequestError(OrchestratorError):
    """What was asked for can never be done as asked; asking again changes nothing."""

    code = "BAD_REQUEST"


class NoAgentsSelectedError(InvalidRequestError):
    """A run was asked for with no agent in it."""

    code = "NO_AGENTS_SELECTED"


class InvalidAgentTypeError(InvalidRequestError):
    """An agent was named that the catalogue does not have."""

    code = "INVALID_AGENT_TYPE"


class DuplicateAgentError(InvalidRequestError):
    """The same agent was selected twice."""

    code = "DUPLICATE_AGENT"


class InvalidPipelineModeError(InvalidRequestError):
    """A pipeline mode other than those of ``PipelineMode`` was named."""

    code = "INVALID_PIPELINE_MODE"


class NoDocumentsError(InvalidRequestError):
    """A run was asked for in a project that has no documents to work on."""

    code = "NO_DOCUMENTS"


class InvalidDocumentError(InvalidRequestError):
    """A document is empty, binary, not UTF-8, or has a path that cannot be kept."""

    code = "INVALID_DOCUMENT"


class DocumentTooLargeError(InvalidRequestError):
    """A document is larger than ``MAX_DOCUMENT_BYTES``."""

    code = "DOCUMENT_TOO_LARGE"


class ProjectTooLargeError(InvalidRequestError):
    """The documents of a project would have more than ``MAX_PROJECT_BYTES``."""

    code = "PROJECT_TOO_LARGE"


class InvalidSlugError(InvalidRequestError):
    """A tenant or project slug does not match ``SLUG``; it never got near SQL."""

    code = "INVALID_SLUG"


class RunIdConflictError(OrchestratorError):
    """A client-chosen run id is taken by a run with another body or in another project."""

    code = "RUN_ID_CONFLICT"


class RunNotFoundError(OrchestratorError):
    """The tenant has no such run."""

    code = "RUN_NOT_FOUND"


class NotRetriableError(OrchestratorError):
    """A run was to be retried that has not ended, or that succeeded."""

    code = "NOT_RETRIABLE"


class ProjectNotFoundError(OrchestratorError):
    """The tenant has no such project."""

    code = "PROJECT_NOT_FOUND"


class QuotaExceededError(OrchestratorError):
    """A tenant or a user has as much of something as they may have; less of it, and asking again works.

    ``resource`` is ``runs`` or ``document_bytes``, ``scope`` whose quota it is: ``tenant`` or ``user``.
    """

    code = "TOO_MANY"

    def __init__(self, resource: str, scope: str, amount: int, limit: int) -> None:
        super().__init__(f"The {scope} would have {amount} {resource}; expected at most {limit}.")
        self.resource = resource
        self.scope = scope
        self.limit = limit


class BudgetExceededError(OrchestratorError):
    """The tenant's tokens for the month are used up. Never retried."""

    code = "BUDGET_EXCEEDED"


class TokensReservedError(BudgetExceededError):
    """What is left of the tenant's tokens is put aside by calls under way; some of it may come back when they end."""


class IllegalTransitionError(OrchestratorError):
    """A run or step was told to go where its transition table has no way."""


class ClaimLostError(OrchestratorError):
    """The run has ended or belongs to another worker now; this worker must stop without a trace."""


class StoreError(OrchestratorError):
    """The database could not do what was asked. Whether a commit took effect may be unknown."""

    code = "UNAVAILABLE"


class ModelError(OrchestratorError):
    """The language model failed, or its answer cannot be used. Worth another attempt, unless ``permanent``.

    ``retry_after_s``: the model asked not to be asked again before so many seconds. The text is for people who run
    agents: it says what they can do about it, and no key.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, permanent: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.permanent = permanent
