"""The QA consultant: documents, and the coverage matrix if there is one -> checklists and Gherkin."""

from __future__ import annotations

from orchestrator.agents.base import Consultant


class QaConsultant(Consultant):
    """Hands in Markdown: by feature, a manual checklist and one block of Gherkin."""

    agent_type = "qa_consultant"
    artifact_type = "test_checklist"
    content_type = "text/markdown"
    fence_languages = frozenset({"", "markdown", "md"})
    not_read_title = "## Not read: it did not fit into the context of the model\n"
    not_read_bullet = "- "

    def missing(self, content: str) -> str | None:
        """A checklist says in its first line what it is."""
        return None if content.startswith("# ") else "title line (“# …”)"
