"""Tenants, projects and members from the command line, over both databases."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import jwt
import pytest
from cli_stage import NOBODYS_RUN, RUNCAST, finish, read_until, refused, runcast, spawn, told, url_of
from place_stage import dialect, elsewhere, home, spec

__all__ = ["dialect", "elsewhere", "home", "spec"]

AS_ADA = ("--tenant", "acme", "--user", "lead@example.org")
IN_WEB = ("--tenant", "acme", "--project", "web")

pytestmark = pytest.mark.usefixtures("elsewhere")


def add(tenant: str, project: str, email: str, role: str) -> None:
    """Add all that is needed for somebody to work in a project."""
    told("admin", "tenant", "add", tenant)
    told("admin", "project", "add", "--tenant", tenant, project)
    told("admin", "member", "set", "--tenant", tenant, "--project", project, email, role)


@pytest.fixture
def acme(home: Path) -> Path:
    """A home with the tenant ``acme``, its project ``web`` and its owner."""
    add("acme", "web", "lead@example.org", "owner")
    return home


@pytest.fixture
def served(acme: Path) -> Iterator[Path]:
    """The same, served by a process of its own that looks at roles often and works slowly."""
    process = spawn("serve", "--port", "0", RUNCAST_ACCESS_CHECK_S="0.1", RUNCAST_PACE_S="0")
    read_until(process, "^Serving")
    yield acme
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, "Traceback" in err) == (0, False), err


def test_second_tenant_imports_runs_and_watches_without_a_server(acme: Path, spec: str) -> None:
    """From nothing to a finished run of another tenant's user; nobody serves the home meanwhile."""
    assert told("import", spec, *AS_ADA).startswith("imported spec.md (version 1, ")
    code, out, err = finish(spawn("run", *AS_ADA, "--project", "web", "--agents", "ba_consultant"))
    assert code == 0, err
    assert out.splitlines()[-1].endswith(" complete - 100% all done")
    run_id = re.search(r"Run ([0-9a-f-]{36}) of ba_consultant", err)
    assert run_id is not None
    code, again, err = finish(spawn("watch", run_id[1], *AS_ADA))
    assert (code, again) == (0, out), err
    assert "admin tenant" not in refused("watch", NOBODYS_RUN, *AS_ADA)


def test_second_tenant_works_at_a_server_that_runs(served: Path, spec: str) -> None:
    """Token, import, run and watch of another tenant's user go to the home's server, which honours them."""
    token = told("token", *AS_ADA).strip()
    answer = httpx2.get(f"{url_of(served)}/api/v1/projects", headers={"Authorization": f"Bearer {token}"})
    assert [(it["slug"], it["role"]) for it in answer.json()["projects"]] == [("web", "owner")]
    assert told("import", spec, *AS_ADA).startswith("imported spec.md")
    result = runcast("run", *AS_ADA, "--agents", "ba_consultant")
    assert result.exit_code == 0, result.stderr
    run_id = re.findall(r"Run ([0-9a-f-]{36}) of", result.stderr)[0]
    assert told("watch", run_id, *AS_ADA) == result.stdout
    assert "RUN_NOT_FOUND" in refused("watch", run_id)
    link = told("token", "--link", *AS_ADA).strip()
    assert link.startswith(f"{url_of(served)}/sign-in?code=")


def test_tenants_with_equal_slugs_and_run_ids_stay_apart(served: Path) -> None:
    """Two tenants have the same project slug, document path and client-chosen run id, and see their own alone."""
    add("zeta", "web", "lead@example.org", "owner")
    run_id, seen = str(uuid4()), {}
    for tenant in ("acme", "zeta"):
        Path("spec.md").write_text(f"# Shop\n\n- REQ-{tenant}: The {tenant} shop MUST open.\n")
        named = ("--tenant", tenant, "--user", "lead@example.org")
        assert "(version 1, " in told("import", "spec.md", *named)
        headers = {"Authorization": f"Bearer {told('token', *named).strip()}"}
        with httpx2.Client(base_url=f"{url_of(served)}/api/v1", headers=headers) as http:
            (project,) = http.get("/projects").json()["projects"]
            runs = f"/projects/{project['id']}/agent-runs"
            body = {"agents_selected": ["ba_consultant"], "run_id": run_id}
            assert http.post(runs, json=body).status_code == 201
            assert told("watch", run_id, *named).endswith(" complete - 100% all done\n")
            (artifact,) = http.get(f"/projects/{project['id']}/artifacts").json()["artifacts"]
            content = http.get(f"/projects/{project['id']}/artifacts/{artifact['id']}").json()["content"]
            seen[tenant] = (project["id"], artifact["id"], content)
            assert len(http.get(runs).json()["runs"]) == 1
            others = [id for other, (id, *_) in seen.items() if other != tenant]
            assert all(http.get(f"/projects/{id}/agent-runs/{run_id}").status_code in (403, 404) for id in others)
    assert "REQ-acme" in seen["acme"][2]
    assert "acme" not in seen["zeta"][2]
    assert len({part for parts in seen.values() for part in parts[:2]}) == 4


def test_member_who_loses_the_role_loses_the_stream(acme: Path, spec: str) -> None:
    """A role that is set while a server runs holds within seconds, also for streams that are open."""
    told("admin", "member", "set", *IN_WEB, "guest@example.org", "qa-automation")
    serving = spawn("serve", "--port", "0", RUNCAST_ACCESS_CHECK_S="0.1", RUNCAST_PACE_S="60")
    read_until(serving, "^Serving")
    run = spawn("run", "--tenant", "acme", "--user", "guest@example.org", "--agents", "ba_consultant", spec)
    try:
        read_until(run, "running")
        assert "(was qa-automation)" in told("admin", "member", "set", *IN_WEB, "guest@example.org", "viewer")
        code, _, err = finish(run)
    finally:
        run.kill()
        serving.send_signal(signal.SIGTERM)
        finish(serving)
    assert code == 1
    assert "FORBIDDEN" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_adding_twice_changes_nothing(home: Path) -> None:
    """Each command says what came of it, the second time that it was there already."""
    assert told("admin", "tenant", "add", "acme") == "tenant acme added\n"
    assert told("admin", "tenant", "add", "acme") == "tenant acme is there already\n"
    add_project = ("admin", "project", "add", "--tenant", "acme", "web-shop")
    assert told(*add_project, "--name", "The Shop") == "project acme/web-shop added\n"
    assert told(*add_project, "--name", "Other") == "project acme/web-shop is there already\n"
    set_member = ("admin", "member", "set", "--tenant", "acme", "--project", "web-shop", "Lead@Example.org")
    assert told(*set_member, "owner").splitlines() == [
        "user lead@example.org added to tenant acme",
        "lead@example.org is owner in acme/web-shop",
    ]
    assert told(*set_member, "owner") == "lead@example.org is owner in acme/web-shop already\n"
    assert told(*set_member, "admin", "--force") == "lead@example.org is admin in acme/web-shop (was owner)\n"
    in_shop = ("--tenant", "acme", "--project", "web-shop", "lead@example.org")
    assert told("admin", "member", "remove", *in_shop) == "lead@example.org removed from acme/web-shop (was admin)\n"
    assert told("admin", "member", "remove", *in_shop) == "lead@example.org is no member of acme/web-shop\n"
    (project,) = json.loads(told("admin", "project", "list", "--tenant", "acme", "--json"))
    assert (project["slug"], project["name"]) == ("web-shop", "The Shop")


def test_lists_are_for_programs_and_for_people(acme: Path) -> None:
    """Elsewhere there are tabs and no heading, on a terminal aligned columns under one; and JSON on demand."""
    told("admin", "member", "set", *IN_WEB, "a.very.long.name@example.org", "viewer")
    told("admin", "tenant", "add", "beta")
    assert told("admin", "tenant", "list") == "acme\nbeta\n"
    members = [["a.very.long.name@example.org", "viewer"], ["lead@example.org", "owner"]]
    assert [line.split("\t") for line in told("admin", "member", "list", *IN_WEB).splitlines()] == members
    as_json = json.loads(told("admin", "member", "list", *IN_WEB, "--json"))
    assert as_json == [{"email": email, "role": role} for email, role in members]
    lines = on_terminal("admin", "member", "list", *IN_WEB)
    assert lines[0].split() == ["EMAIL", "ROLE"]
    assert [line.split() for line in lines[1:]] == members
    assert {line.index(last) for line, last in zip(lines, ["ROLE", "viewer", "owner"], strict=True)} == {30}
    assert told("admin", "project", "list", "--tenant", "beta") == ""


def on_terminal(*arguments: str) -> list[str]:
    """The lines that a command draws on a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run([*RUNCAST, *arguments], stdout=theirs, stderr=theirs, check=True, timeout=40)
    os.close(theirs)
    with open(ours, "rb") as terminal:
        drawn = b""
        try:
            while part := terminal.read1():
                drawn += part
        except OSError:  # the other end is closed, and everything was read
            pass
    return drawn.decode().splitlines()


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["admin", "tenant", "add", "Acme"], "[a-z][a-z0-9_]{0,40}"),
        (["admin", "tenant", "add", "a-b"], "[a-z][a-z0-9_]{0,40}"),
        (["admin", "project", "add", "--tenant", 'x"; DROP', "web"], "[a-z][a-z0-9_]{0,40}"),
        (["admin", "project", "add", "--tenant", "acme", "../web"], "[a-z0-9][a-z0-9_-]{0,62}"),
        (["admin", "member", "list", "--tenant", "acme", "--project", "We b"], "[a-z0-9][a-z0-9_-]{0,62}"),
        (["token", "--tenant", "a/b", "--user", "a@b.c"], "[a-z][a-z0-9_]{0,40}"),
        (["run", "--project", "-x"], "[a-z0-9][a-z0-9_-]{0,62}"),
        (["token", "--tenant", "acme"], "--user"),
        (["admin", "project", "add", "web"], "--tenant"),
        (["admin", "member", "set", *IN_WEB, "a@b.c", "boss"], "qa-automation"),
        *(
            (["admin", "member", "set", *IN_WEB, email, "owner"], "expected name@domain")
            for email in ("ada", "@b.c", "a@", "a b@c", "a@b@c", "a\x1b@b.c", "a@" + "b" * 320)
        ),
        (["admin", "project", "add", "--tenant", "acme", "web", "--name", "a\nb"], "on one line"),
        (["run", "--url", "http://x", "--tenant", "acme", "--user", "a@b.c"], "RUNCAST_TOKEN says who asks"),
        (["token", "--link", "--expires", "1h"], "--expires is for tokens"),
        *((["token", "--expires", text], "1s to 365d") for text in ("0s", "-1h", "1", "h", "1.5h", "366d", "9" * 30)),
    ],
)
def test_bad_name_or_option_is_bad_use(arguments: list[str], rule: str) -> None:
    """What can never be is refused where it enters, with the rule, before anything is touched."""
    result = runcast(*arguments)
    assert result.exit_code == 2, result.output
    assert rule in " ".join(result.stderr.split())
    assert not any(Path.cwd().iterdir())


def test_slug_of_the_environment_is_checked_too() -> None:
    """It does not matter by which way a slug enters."""
    result = runcast("run", RUNCAST_TENANT="No!", RUNCAST_USER="a@b.c")
    assert (result.exit_code, "RUNCAST_TENANT" in result.stderr) == (2, True)


def test_missing_name_is_mended_by_the_command_that_the_error_names(home: Path, spec: str) -> None:
    """One error after the other, each names the command whose pasting mends it, until the import works."""
    told("import", spec)
    fills = {"PROJECT": "web", "ROLE": "qa-manual"}
    complaints = []
    while (result := runcast("import", spec, *AS_ADA, "--project", "web")).exit_code:
        assert len(result.stderr.splitlines()) == 1
        complaint, _, command = result.stderr.partition("; mend it with: runcast ")
        complaints.append(complaint.removeprefix("Error: "))
        assert len(complaints) < 9, result.stderr
        words = shlex.split(command.replace("$RUNCAST_DATABASE_URL", os.environ.get("RUNCAST_DATABASE_URL", "")))
        told(*(fills.get(word, word) for word in words))
    assert complaints == [
        "There is no tenant acme",
        "Tenant acme has no project web",
        "Tenant acme has no user lead@example.org",
    ]


def test_role_that_does_not_suffice_is_named_with_those_that_do(acme: Path, spec: str) -> None:
    """Whoever may not run or import is told which roles may, and which command gives one."""
    told("admin", "member", "set", *IN_WEB, "guest@example.org", "viewer")
    as_bob = ("--tenant", "acme", "--user", "guest@example.org")
    for command in (["run", *as_bob], ["import", spec, *as_bob]):
        line = refused(*command)
        assert "guest@example.org is viewer in acme/web; expected one of admin, owner" in line
        assert "runcast admin member set --tenant acme --project web guest@example.org ROLE" in line


def test_watch_without_the_role_is_refused_with_the_remedy(acme: Path, spec: str) -> None:
    """A run of a project in which the user is a mere viewer is not shown live."""
    told("import", spec, *AS_ADA)
    result = runcast("run", *AS_ADA, "--agents", "ba_consultant")
    run_id = re.findall(r"Run ([0-9a-f-]{36}) of", result.stderr)[0]
    told("admin", "member", "set", *IN_WEB, "guest@example.org", "viewer")
    line = refused("watch", run_id, "--tenant", "acme", "--user", "guest@example.org")
    assert "expected one of admin, owner, qa-automation; mend it with: runcast admin member set " in line


def test_user_in_several_projects_names_one(acme: Path, spec: str) -> None:
    """Where it is not clear which project is meant, nothing is guessed."""
    add("acme", "shop", "lead@example.org", "owner")
    assert refused("import", spec, *AS_ADA).endswith("name one with --project: shop, web")
    told("import", spec, *AS_ADA, "--project", "shop")
    told("admin", "member", "remove", "--tenant", "acme", "--project", "shop", "lead@example.org", "--force")
    assert "is no member of acme/shop" in refused("import", spec, *AS_ADA, "--project", "shop")
    assert "imported" in told("import", spec, RUNCAST_TENANT="acme", RUNCAST_USER="LEAD@example.org")


def test_server_elsewhere_takes_a_project_but_nobody_else(served: Path, spec: str) -> None:
    """With --url the token says who asks, --project which of their projects; a typed tenant means the home again."""
    add("acme", "shop", "lead@example.org", "owner")
    there = {"RUNCAST_URL": url_of(served), "RUNCAST_TOKEN": told("token", *AS_ADA).strip()}
    told("import", spec, "--project", "shop", **there)
    result = runcast("run", "--project", "web", **there)
    assert (result.exit_code, "NO_DOCUMENTS" in result.stderr or "no documents" in result.stderr) == (1, True)
    assert refused("import", spec, "--project", "other", **there).endswith("those there are: shop, web")
    told(
        "import",
        spec,
        "--tenant",
        "acme",
        "--project",
        "web",
        RUNCAST_USER="lead@example.org",
        RUNCAST_URL="http://x",
    )


def test_link_leads_to_the_public_address(acme: Path) -> None:
    """Behind a proxy, people sign in where browsers reach the server, which may run on another machine."""
    link = told("token", "--link", *AS_ADA, RUNCAST_PUBLIC_URL="https://runcast.example.org")
    assert link.startswith("https://runcast.example.org/sign-in?code=")


def test_last_owner_stays_unless_forced(acme: Path) -> None:
    """No project loses its only owner by mistake, neither by removing them nor by another role."""
    for command in (["remove", *IN_WEB, "lead@example.org"], ["set", *IN_WEB, "lead@example.org", "viewer"]):
        line = refused("admin", "member", *command)
        assert "lead@example.org is the only owner of acme/web" in line
        assert "--force" in line
    told("admin", "member", "set", *IN_WEB, "eve@example.org", "owner")
    told("admin", "member", "remove", *IN_WEB, "lead@example.org")
    told("admin", "member", "remove", *IN_WEB, "eve@example.org", "--force")
    assert told("admin", "member", "list", *IN_WEB) == ""
    assert "has no user nobody@example.org" in refused("admin", "member", "remove", *IN_WEB, "nobody@example.org")


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("15m", 900), ("1h", 3600), ("7d", 7 * 86_400)])
def test_token_expires_as_asked(text: str, seconds: int) -> None:
    """The time stands in the token, and nothing but the token on standard output."""
    add("acme", "web", "lead@example.org", "viewer")
    token = told("token", *AS_ADA, "--expires", text).removesuffix("\n")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["tenant"], claims["email"]) == ("acme", "lead@example.org")
    assert claims["exp"] - claims["iat"] == seconds


@pytest.mark.parametrize("command", [["tenant", "list"], ["project", "list", "--tenant", "acme"]])
def test_administration_of_a_home_that_is_none_makes_none(command: list[str]) -> None:
    """Only adding a tenant makes a home; a mistyped one is said to be none."""
    assert "There is no home typo; " in refused("admin", *command, "--home", "typo")
    assert "There is no home typo; " in refused("run", *AS_ADA, "--home", "typo")
    assert not Path("typo").exists()
