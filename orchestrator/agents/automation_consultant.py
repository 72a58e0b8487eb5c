"""The test automation consultant: documents, and the scenarios if there are any -> Playwright tests."""

from __future__ import annotations

from orchestrator.agents.base import Consultant


class AutomationConsultant(Consultant):
    """Hands in one TypeScript module of Playwright tests."""

    agent_type = "automation_consultant"
    artifact_type = "playwright_script"
    content_type = "text/x-typescript"
    fence_languages = frozenset({"", "ts", "typescript"})
    not_read_title = "// Not read: it did not fit into the context of the model"
    not_read_bullet = "// - "

    def missing(self, content: str) -> str | None:
        """A script says in a first comment what it is."""
        return None if content.startswith("// ") else "title comment (“// …”)"
