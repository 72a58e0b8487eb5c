"""The command ``runcast`` as people and scripts use it: real processes, real homes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from cli_stage import NOBODYS_RUN, SPEC, finish, read_until, runcast, spawn, url_of

from realtime import __version__

DEMO_SCRIPT = Path(__file__).parents[2] / "scripts/demo"
LINE = re.compile(r"^\d+ (queued|running|complete|error) (\w+|-) \d+%( .*)?$")


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RUNCAST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A document to work on."""
    path = tmp_path / "spec.md"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that is served by a process of its own."""
    home = tmp_path_factory.mktemp("shop") / "home"
    process = spawn("serve", "--port", "0", "--home", home, RUNCAST_PACE_S="0")
    read_until(process, "^Serving")
    yield home
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 0
    assert not (home / "server.json").exists()


def test_help_and_version_load_nothing_heavy() -> None:
    """Asking for help stays quick: neither the web server nor the database is imported."""
    result = runcast("--version")
    assert result.output == f"runcast, version {__version__}\n"
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, realtime.cli; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert not {"quart", "sqlalchemy", "httpx2", "rich", "hypercorn", "msgspec"} & set(loaded)


@pytest.mark.parametrize(
    "command",
    [
        *(
            [],
            ["serve"],
            ["token"],
            ["import"],
            ["run"],
            ["watch"],
            ["cancel"],
            ["retry"],
            ["demo"],
            ["migrate"],
            ["admin"],
        ),
        ["admin", "prune"],
        *(["admin", "tenant", name] for name in ("add", "list")),
        *(["admin", "project", name] for name in ("add", "list")),
        *(["admin", "member", name] for name in ("set", "remove", "list")),
    ],
)
def test_every_command_explains_itself(command: list[str]) -> None:
    """Each command and each of its options has a help text."""
    result = runcast(*command, "--help")
    assert result.exit_code == 0
    for option in re.findall(r"^  (-.*)$", result.output, re.MULTILINE):
        assert re.search(r"\S  +\S", option) or option in result.output.replace("\n" + " " * 10, "  "), option


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "--mode", "upwards"], "upwards"),
        (["run", "missing.md"], "missing.md"),
        (["import"], "PATH"),
        (["watch", "not-a-uuid"], "UUID"),
        (["cancel", "not-a-uuid"], "UUID"),
        (["retry"], "RUN_ID"),
        (["watch", NOBODYS_RUN, "--last-event-id", "-1"], "last-event-id"),
        (["serve", "--port", "70000"], "port"),
        (["run", "--url", "http://127.0.0.1:9"], "RUNCAST_TOKEN"),
        (["run", "--url", "ws://127.0.0.1:9"], "http://"),
        (["demo", "--once"], "docs"),
        (["dance"], "dance"),
    ],
)
def test_bad_use_exits_2(arguments: list[str], complaint: str) -> None:
    """What can never work as typed is refused before anything is touched."""
    result = runcast(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert not Path(".runcast").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["watch", NOBODYS_RUN], {}, "There is no home"),
        (["cancel", NOBODYS_RUN], {}, "There is no home"),
        (["retry", NOBODYS_RUN], {}, "There is no home"),
        (["run", "--url", "http://127.0.0.1:9"], {"RUNCAST_TOKEN": "t"}, "does not answer"),
        (["import", "empty"], {}, "no Markdown or text files found in empty"),
    ],
)
def test_failure_is_one_line_and_exits_1(arguments: list[str], environment: dict[str, str], complaint: str) -> None:
    """What goes wrong is said in one line on standard error."""
    Path("empty").mkdir()
    result = runcast(*arguments, **environment)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_import_without_server_opens_the_home_and_names_what_it_left(spec: Path) -> None:
    """Readable documents are kept; empty, binary and badly encoded ones are named with the reason."""
    Path("empty.md").write_text(" \n")
    Path("binary.txt").write_bytes(b"a\x00b")
    Path("latin.txt").write_bytes("f\u00fcr".encode("latin-1"))
    result = runcast("import", ".", "--home", "home")
    assert result.exit_code == 0
    assert result.stdout == f"imported spec.md (version 1, {len(SPEC)} bytes)\n"
    assert "skipped empty.md: is empty" in result.stderr
    assert "skipped binary.txt: is a binary file" in result.stderr
    assert "skipped latin.txt: is not UTF-8" in result.stderr
    assert "Documents: 1 imported, 3 skipped" in result.stderr
    assert runcast("import", "empty.md", "--home", "home").exit_code == 1
    assert spec.exists()


@pytest.mark.parametrize("content", ['{"url":"http://127.0.0.1:9","pid":999999999}', "{", "live"])
def test_address_left_by_a_dead_server_is_not_believed(spec: Path, content: str) -> None:
    """A stale server.json, of a dead process or of one that does not answer, is ignored."""
    Path("home").mkdir()
    if content == "live":
        content = json.dumps({"url": "http://127.0.0.1:9", "pid": os.getpid()})
    Path("home/server.json").write_text(content)
    assert runcast("import", spec, "--home", "home").exit_code == 0


def test_token_opens_the_api_and_link_opens_the_page(shop: Path) -> None:
    """Both are made while another process serves the home, and that process honours them."""
    token = runcast("token", "--home", shop).stdout.strip()
    answer = httpx2.get(f"{url_of(shop)}/api/v1/projects", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    link = runcast("token", "--link", RUNCAST_HOME=str(shop)).stdout.strip()
    assert link.startswith(f"{url_of(shop)}/sign-in?code=")
    assert httpx2.get(link).status_code == 200


def test_run_at_the_homes_server_is_shown_line_by_line_and_again(shop: Path, spec: Path) -> None:
    """``run`` imports, starts and watches at the server of the home; ``watch`` shows the same lines again."""
    result = runcast("run", "--home", shop, "--agents", "ba_consultant, qa_consultant", "--mode", "parallel", spec)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert all(LINE.match(line) for line in lines)
    assert [line.split()[0] for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
    assert lines[-1].endswith(" complete - 100% all done")
    run_id = re.search(r"Run ([0-9a-f-]{36}) of ba_consultant, qa_consultant \(parallel\)", result.stderr)
    assert run_id is not None
    assert f"{url_of(shop)}/projects/" in result.stderr
    assert "To look at it" not in result.stderr
    again = runcast("watch", run_id[1], "--home", shop, "--last-event-id", "2")
    assert again.exit_code == 0
    assert again.stdout.splitlines() == lines[2:]


def test_server_of_the_environment_is_used_unless_a_home_is_typed(shop: Path, spec: Path) -> None:
    """RUNCAST_URL and RUNCAST_TOKEN name a server elsewhere; a home on the command line goes before them."""
    token = runcast("token", "--home", shop).stdout.strip()
    elsewhere = {"RUNCAST_URL": url_of(shop), "RUNCAST_TOKEN": token}
    imported = runcast("import", spec, **elsewhere)
    assert imported.exit_code == 0
    assert not Path(".runcast").exists()
    typed = runcast("import", spec, "--home", "home", RUNCAST_URL="http://127.0.0.1:9", RUNCAST_TOKEN="t")
    assert typed.exit_code == 0
    refused = runcast("run", RUNCAST_URL=url_of(shop), RUNCAST_TOKEN="wrong")
    assert refused.exit_code == 1
    assert "NOT_AUTHENTICATED" in refused.stderr


def test_request_that_the_server_refuses_is_explained(shop: Path, spec: Path) -> None:
    """An unknown run is an error; what the server finds wrong with a request is said."""
    assert runcast("import", spec, "--home", shop).exit_code == 0
    result = runcast("watch", NOBODYS_RUN, "--home", shop)
    assert (result.exit_code, "RUN_NOT_FOUND" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("agents", "complaint"),
    [
        ("nobody", "there is no agent 'nobody'; expected some of ba_consultant, "),
        ("", "there is no agent ''"),
        ("ba_consultant,", "there is no agent ''"),
        ("qa_consultant,qa_consultant", "the agent qa_consultant is named 2 times"),
    ],
)
def test_agents_that_cannot_run_are_refused_before_anything_is_imported(
    shop: Path, tmp_path: Path, agents: str, complaint: str
) -> None:
    """Unknown, empty and repeated agents are bad use, and leave the project as it was."""
    (tmp_path / "unwanted.md").write_text(SPEC)
    result = runcast("run", "--home", shop, "--agents", agents, "unwanted.md")
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "imported" not in result.stderr


def test_serve_prints_a_link_and_how_to_get_another(tmp_path: Path) -> None:
    """Who starts a server can sign in at once; the command for the next link can be pasted."""
    home = tmp_path / "my home"
    process = spawn("serve", "--port", "0", "--home", home)
    try:
        link = read_until(process, "^To sign in, once: ").split()[-1]
        another = shlex.split(read_until(process, "^For another link: ").partition(": ")[2])
        assert httpx2.get(link).status_code == 200
        assert "/sign-in?code=" in runcast(*another[1:]).stdout
    finally:
        process.send_signal(signal.SIGINT)
        code = finish(process)[0]
    assert code == 0


def test_link_without_server_names_the_command_that_serves(spec: Path) -> None:
    """A home that nobody serves has no page to sign in to."""
    assert runcast("import", spec, "--home", "my home").exit_code == 0
    result = runcast("token", "--link", "--home", "my home")
    assert result.exit_code == 1
    assert "No server serves my home; start one with: runcast serve --home 'my home'" in result.stderr


def test_home_served_elsewhere_is_not_served_twice(shop: Path) -> None:
    """A second server of one home ends at once and says why."""
    code, _, err = finish(spawn("serve", "--port", "0", "--home", shop))
    assert code == 1
    assert "another process has the home" in err
    assert "Traceback" not in err


def test_interrupted_run_says_how_to_go_on_and_does_go_on(spec: Path) -> None:
    """Ctrl-C ends ``run`` with 130 and without traceback; ``watch`` takes the run to its end."""
    process = spawn("run", "--home", "home", "--agents", "ba_consultant", spec, RUNCAST_PACE_S="60")
    try:
        read_until(process, "running")
    finally:
        process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130, err
    assert "Traceback" not in err
    command = re.search(r"runcast (watch [0-9a-f-]{36} --home home)$", err, re.MULTILINE)
    assert command is not None, err
    code, out, err = finish(spawn(*command[1].split()))
    assert code == 0, err
    assert out.splitlines()[-1].endswith("complete - 100% all done")


def test_interrupted_watch_leaves_the_run_at_its_server(shop: Path, spec: Path) -> None:
    """Ctrl-C on a run that another process carries out ends only the watching."""
    process = spawn("serve", "--port", "0", "--home", "paced", RUNCAST_PACE_S="60")
    read_until(process, "^Serving")
    run = spawn("run", "--home", "paced", "--agents", "ba_consultant", spec)
    try:
        read_until(run, "running")
    finally:
        run.send_signal(signal.SIGINT)
        code, _, err = finish(run)
        process.send_signal(signal.SIGTERM)
        served = finish(process)
    assert code == 130
    assert "The run goes on at the server" in err
    assert "Traceback" not in err + served[2]
    assert served[0] == 0


def test_run_without_server_leaves_the_metrics_port_alone(spec: Path) -> None:
    """The port of the environment is for the server that stays, which may have it already."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = spawn("run", "--home", "home", "--agents", "ba_consultant", spec, RUNCAST_METRICS_PORT=port)
        assert finish(run)[0] == 0


def test_failed_run_exits_1(spec: Path) -> None:
    """The exit code is the outcome of the run, and the reason is on the last line."""
    code, out, err = finish(spawn("run", "--home", "home", spec, RUNCAST_MONTHLY_TOKENS="1"))
    assert code == 1
    assert "BUDGET_EXCEEDED" in out.splitlines()[-1]
    assert "failed" in err
    assert err.splitlines()[-1] == "To look at it: runcast serve --home home"


def test_demo_once_shows_everything_and_ends(tmp_path: Path) -> None:
    """A fresh home, the documents of docs/, a link to the page, three agents, the outcome, and how to look at it."""
    Path("docs").mkdir()
    Path("docs/spec.md").write_text(SPEC)
    code, out, err = finish(spawn("demo", "--once", "--pace", "0", TMPDIR=str(tmp_path)))
    assert code == 0, err
    home = re.search(rf"^Home +({tmp_path}/runcast-demo-.*)$", out, re.MULTILINE)
    assert home is not None
    assert err.splitlines()[-1] == f"To look at it: runcast serve --home {home[1]}"
    assert re.search(r"^Sign in +http://127\.0\.0\.1:\d+/sign-in\?code=", out, re.MULTILINE)
    lines = [line for line in out.splitlines() if LINE.match(line)]
    assert [line.split()[2] for line in lines if " complete " in line] == [
        "ba_consultant", "qa_consultant", "automation_consultant", "-",
    ]  # fmt: skip
    assert "Documents: 1 imported, 0 skipped" in err
    assert "Traceback" not in err


def test_demo_elsewhere_takes_the_docs_that_its_script_names(tmp_path: Path) -> None:
    """``scripts/demo`` names the docs of its own project, so that it can be called from any folder."""
    for name in ("scripts", ".venv/bin", "docs", "elsewhere"):
        (tmp_path / "project" / name).mkdir(parents=True)
    script = Path(shutil.copy(DEMO_SCRIPT, tmp_path / "project/scripts/demo"))
    for name, text in (("scripts/install", "true"), (".venv/bin/runcast", 'printf "%s\\n" "$@"')):
        (tmp_path / "project" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "project" / name).chmod(0o755)
    elsewhere = tmp_path / "project/elsewhere"
    told = subprocess.run([script, "--once"], cwd=elsewhere, capture_output=True, text=True, check=True)
    docs = tmp_path / "project/docs"
    assert told.stdout.splitlines() == ["demo", "--default-docs", str(docs), "--once"]

    (docs / "spec.md").write_text(SPEC)
    code, _, err = finish(spawn(*told.stdout.splitlines(), "--pace", "0", TMPDIR=str(tmp_path)))
    assert code == 0, err
    assert "Documents: 1 imported, 0 skipped" in err


def test_demo_goes_on_serving_until_interrupted(tmp_path: Path) -> None:
    """Without --once the page stays there after the run, and Ctrl-C is a proper end."""
    Path("notes").mkdir()
    Path("notes/spec.md").write_text(SPEC)
    process = spawn("demo", "--port", "0", "--pace", "0", "notes", TMPDIR=str(tmp_path))
    try:
        url = read_until(process, "^Server").split()[1]
        read_until(process, "^Serving until Ctrl-C")
        assert httpx2.get(f"{url}/healthz").status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 0, err
    assert "Traceback" not in err
