"""What every page of a project shows round its content, and who may see it."""

from __future__ import annotations

from typing import Any

import msgspec

from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import enter_project
from realtime.ports import ProjectInfo, RefusedError
from realtime.roles import Action, may
from realtime.tokens import Principal


class PageFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One project as one of its members sees it, among that member's ``projects``, by slug."""

    principal: Principal
    project: ProjectInfo
    projects: tuple[ProjectInfo, ...]

    def may(self, action: Action) -> bool:
        """True where the member's role allows it."""
        return may(self.project.role, action)

    @property
    def context(self) -> dict[str, Any]:
        """What templates/in_project.html needs."""
        return {"project": self.project, "projects": self.projects, "user_email": self.principal.email}


async def enter_page(backend: Backend, project_id: str) -> PageFrame:
    """The frame of that project's pages for whoever sent the current request.

    Raises:
        RefusedError: as `realtime.endpoints.guard.enter_project`, for `Action.READ`; 403 where the membership ended
            meanwhile.

    """
    principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
    projects = tuple(await backend.accounts.list_projects(principal.tenant, principal.user_id))
    shown = next((project for project in projects if project.id == project_id), None)
    if shown is None:
        raise RefusedError(403, "FORBIDDEN", "You are no longer a member of this project.")
    return PageFrame(principal=principal, project=shown, projects=projects)
