"""The business analyst: documents -> requirements coverage matrix."""

from __future__ import annotations

from orchestrator.agents.base import Consultant


class BaConsultant(Consultant):
    """Hands in a Markdown matrix of what the documents require, where they say so, and what covers it."""

    agent_type = "ba_consultant"
    artifact_type = "coverage_matrix"
    content_type = "text/markdown"
    fence_languages = frozenset({"", "markdown", "md"})
    not_read_title = "## Not read: it did not fit into the context of the model\n"
    not_read_bullet = "- "

    def missing(self, content: str) -> str | None:
        """A matrix says in its first line what it is."""
        return None if content.startswith("# ") else "title line (“# …”)"
