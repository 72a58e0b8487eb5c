"""The commands of an administrator: tenants, projects, members, old logs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click

from realtime.cli.finish import finish
from realtime.cli.options import (
    check_email,
    check_name,
    check_project,
    check_tenant,
    place_options,
    project_option,
    tenant_option,
)
from realtime.cli.table import show_table
from realtime.cli.target import Place
from realtime.roles import Role

if TYPE_CHECKING:
    from realtime.wiring import Administration

_tenant = tenant_option("The tenant.", required=True)
_project = project_option("The project.", required=True)
_json = click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
_email = click.argument("email", callback=check_email)
MOST_DAYS = 36_500
_force = click.option("--force", is_flag=True, help="Also where the project is left without an owner.")


@click.group("admin")
def admin_group() -> None:
    """See to tenants, their projects and members, and to old logs.

    A tenant owns projects; nothing of one is ever seen from another. A project has members, each with a role:

    \b
      owner, admin, qa-automation   start, cancel and retry runs, watch them live
      pm-csm, qa-manual             import documents
      developer, viewer             read

    Who starts runs may also import, and everybody may read. From nothing to a token of a new user:

    \b
      runcast admin tenant add acme
      runcast admin project add --tenant acme web
      runcast admin member set --tenant acme --project web lead@example.org owner
      runcast token --tenant acme --user lead@example.org

    All of it works while a server runs, which follows within seconds: who loses a role loses the live streams that it
    allowed. Adding what is there already changes nothing.
    """


@admin_group.group("tenant")
def tenant_group() -> None:
    """Add and list tenants."""


@admin_group.group("project")
def project_group() -> None:
    """Add and list the projects of a tenant."""


@admin_group.group("member")
def member_group() -> None:
    """Set, remove and list the members of a project."""


@tenant_group.command("add")
@place_options
@click.argument("slug", callback=check_tenant)
def add_tenant(place: Place, slug: str) -> None:
    """Add the tenant SLUG, with the place for its data."""

    async def work(administration: Administration) -> None:
        is_new = await administration.add_tenant(slug)
        click.echo(f"tenant {slug} added" if is_new else f"tenant {slug} is there already")

    finish(_administer(place, work, makes_home=True))


@tenant_group.command("list")
@place_options
@_json
def list_tenants(place: Place, as_json: bool) -> None:
    """List all tenants."""

    async def work(administration: Administration) -> None:
        tenants = await administration.list_tenants()
        show_table(["slug"], [[slug] for slug in tenants], as_json=as_json)

    finish(_administer(place, work))


@project_group.command("add")
@place_options
@_tenant
@click.argument("slug", callback=check_project)
@click.option("--name", callback=check_name, help="How people call it.  [default: SLUG]")
def add_project(place: Place, tenant: str, slug: str, name: str | None) -> None:
    """Add the project SLUG to a tenant."""

    async def work(administration: Administration) -> None:
        is_new = await administration.add_project(tenant, slug, name or slug)
        click.echo(f"project {tenant}/{slug} {'added' if is_new else 'is there already'}")

    finish(_administer(place, work))


@project_group.command("list")
@place_options
@_tenant
@_json
def list_projects(place: Place, tenant: str, as_json: bool) -> None:
    """List the projects of a tenant."""

    async def work(administration: Administration) -> None:
        projects = await administration.list_projects(tenant)
        show_table(["slug", "name", "id"], [[it.slug, it.name, it.id] for it in projects], as_json=as_json)

    finish(_administer(place, work))


@member_group.command("set")
@place_options
@_tenant
@_project
@_force
@_email
@click.argument("role", type=click.Choice([role.value for role in Role]))
def set_member(place: Place, tenant: str, project: str, *, force: bool, email: str, role: str) -> None:
    """Give EMAIL the ROLE in a project, in place of any other there. A user who is new to the tenant is made."""

    async def work(administration: Administration) -> None:
        change = await administration.set_member(tenant, project, email, Role(role), force=force)
        if change.is_new_user:
            click.echo(f"user {change.email} added to tenant {tenant}")
        before = f" (was {change.role_before})" if change.role_before not in (None, role) else ""
        already = " already" if change.role_before == role else ""
        click.echo(f"{change.email} is {role} in {tenant}/{project}{already}{before}")

    finish(_administer(place, work))


@member_group.command("remove")
@place_options
@_tenant
@_project
@_force
@_email
def remove_member(place: Place, tenant: str, project: str, *, force: bool, email: str) -> None:
    """Take EMAIL out of a project. The user stays a user of the tenant."""

    async def work(administration: Administration) -> None:
        before = await administration.remove_member(tenant, project, email, force=force)
        said = f"is no member of {tenant}/{project}" if before is None else f"removed from {tenant}/{project}"
        click.echo(f"{email} {said}" + ("" if before is None else f" (was {before})"))

    finish(_administer(place, work))


@member_group.command("list")
@place_options
@_tenant
@_project
@_json
def list_members(place: Place, tenant: str, project: str, as_json: bool) -> None:
    """List the members of a project with their roles."""

    async def work(administration: Administration) -> None:
        members = await administration.list_members(tenant, project)
        show_table(["email", "role"], [[it.email, it.role] for it in members], as_json=as_json)

    finish(_administer(place, work))


@admin_group.command("prune")
@place_options
@tenant_option("Only of this tenant.  [default: of all]")
@click.option(
    "--days",
    type=click.IntRange(0, MOST_DAYS),
    help="Of runs that ended more than so many days ago.  [default: RUNCAST_RETENTION_DAYS, else 30]",
)
@click.option("--dry-run", is_flag=True, help="Count only, delete nothing.")
def prune(place: Place, tenant: str | None, days: int | None, *, dry_run: bool) -> None:
    """Delete the logs of runs that ended long ago.

    The runs themselves, their steps and artifacts stay; who watches such a run is told its state and its end. Every
    hour a server does the same by itself, by RUNCAST_RETENTION_DAYS.
    """
    from realtime.cli.inside import read_settings  # noqa: PLC0415

    oldest = read_settings(place).retention_days if days is None else days

    async def work(administration: Administration) -> None:
        take = administration.count_old_logs if dry_run else administration.drop_old_logs
        total = 0
        for slug in [tenant] if tenant else await administration.list_tenants():
            count = await take(slug, oldest)
            total += count
            if count:
                click.echo(f"tenant {slug}: {_logs(count)} {'would be deleted' if dry_run else 'deleted'}")
        if not total:
            click.echo(f"nothing to delete: no log of a run that ended more than {oldest:g} days ago")

    finish(_administer(place, work))


def _logs(count: int) -> str:
    return f"logs of {count} run{'' if count == 1 else 's'}"


async def _administer(
    place: Place, work: Callable[[Administration], Coroutine[Any, Any, None]], *, makes_home: bool = False
) -> int:
    from realtime.cli.inside import administered, check_home  # noqa: PLC0415

    if not makes_home:
        check_home(place, "name it with --home, or a database with --database")
    async with administered(place) as administration:
        await work(administration)
    return 0
