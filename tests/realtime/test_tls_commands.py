"""Commands and the Python client at a server over https: which certificates they believe, and whose."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from certificates import DAY, ELSEWHERE, Secured, secure
from cli_stage import SPEC, finish, read_until, refused, runcast, spawn, told, url_of
from live import LiveServer, live_server
from place_stage import elsewhere
from seeded import seed_run

from realtime.client import ConnectionLostError, RunClient, RunClientError, Transport

__all__ = ["elsewhere"]

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A document to work on."""
    path = tmp_path / "spec.md"
    path.write_text(SPEC)
    return path


@pytest.fixture
def strange(tmp_path: Path) -> Secured:
    """A certificate for another name than this machine's, that has expired, of an authority that nobody trusts."""
    return secure(tmp_path, ELSEWHERE, -DAY)


@pytest.fixture
def shop(tmp_path: Path, strange: Secured) -> Iterator[tuple[Path, str]]:
    """A home that a process serves with the ``strange`` certificate, and what that process says at first."""
    home = tmp_path / "home"
    files = ["--tls-cert", strange.tls_cert, "--tls-key", strange.tls_key]
    process = spawn("serve", "--port", "0", "--home", home, *files, RUNCAST_PACE_S="0")
    try:
        said = read_until(process, "^Serving") + read_until(process, "^To sign in")
        yield home, said
    finally:
        process.send_signal(signal.SIGTERM)
        code, _, err = finish(process)
    assert (code, "Traceback" in err) == (0, False)


def test_commands_find_the_server_of_their_home_over_https(shop: tuple[Path, str], spec: Path) -> None:
    """Of the home's own server its very certificate is believed, whatever stands in it; nothing needs to be set."""
    home, said = shop
    url = url_of(home)
    assert url.startswith("https://127.0.0.1:")
    assert f"at {url}\n" in said
    assert f"To sign in, once: {url}/sign-in?code=" in said
    assert told("token", "--link", "--home", home).startswith(f"{url}/sign-in?code=")
    ran = runcast("run", "--home", home, "--agents", "ba_consultant", spec)
    assert ran.exit_code == 0, ran.output
    found = re.search(rf"{url}/projects/[^/]+/runs/(\S+)", ran.output)
    assert found is not None
    assert " complete - 100% " in told("watch", "--home", home, found[1])


def test_server_with_another_certificate_is_not_the_homes(shop: tuple[Path, str], tmp_path: Path) -> None:
    """What answers at the address in the home, and has not the certificate that stands there, is not believed."""
    home, _ = shop
    other = tmp_path / "other"
    other.mkdir()
    file = home / "server.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps({**said, "certificate": secure(other).tls_cert.read_text()}))
    assert "No server serves" in refused("token", "--link", "--home", home)


def test_server_inside_a_command_is_reached_over_https(strange: Secured, spec: Path) -> None:
    """``run`` without a server, and ``demo``, serve as the environment says, and believe their own certificate."""
    files = {"RUNCAST_TLS_CERT": str(strange.tls_cert), "RUNCAST_TLS_KEY": str(strange.tls_key)}
    ran = runcast("run", "--home", "home", "--agents", "ba_consultant", spec, **files)
    assert ran.exit_code == 0, ran.output
    shown = told("demo", "--once", "--port", "0", "--pace", "0", spec, **files)
    assert re.search(r"^Sign in +https://127\.0\.0\.1:\d+/sign-in\?code=", shown, re.MULTILINE)


def test_certificate_without_key_is_bad_use(strange: Secured) -> None:
    """``--tls-cert`` alone is refused, and so is a file that is no certificate, before there is a home."""
    alone = runcast("serve", "--tls-cert", strange.tls_cert)
    assert (alone.exit_code, "tls_key is not; expected both" in alone.stderr) == (2, True)
    refusal = refused("serve", "--tls-cert", strange.tls_key, "--tls-key", strange.tls_key)
    assert refusal == f"Error: tls_cert {strange.tls_key} holds something else than certificates in PEM"
    assert not Path(".runcast").exists()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """A server over https with a certificate of the authority in ``authority.pem``."""
    secured = secure(tmp_path)
    async with live_server(tmp_path / "home", ssl_context=secured.trust(), **secured.settings) as live:
        yield live


@pytest.mark.parametrize("transport", Transport)
async def test_client_trusts_the_authority_that_the_environment_names(
    server: LiveServer, tmp_path: Path, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``SSL_CERT_FILE`` is all it takes, for requests and for both ways to watch, also on this machine."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    run = await seed_run(server)
    await run.finish()
    async with RunClient(server.url, server.token, transports=[transport]) as client:
        assert (await client.get_run(run.id)).id == run.id
        assert [event.id async for event in client.watch(run.id)] == [1, 2]


async def test_command_trusts_the_authority_that_the_environment_names(
    server: LiveServer, tmp_path: Path, spec: Path
) -> None:
    """A server at ``--url`` is reached with ``SSL_CERT_FILE``, and without it the error says what is wrong."""
    run = await seed_run(server)
    await run.finish()
    watch = ["watch", run.id, "--url", server.url]
    trusting = {"RUNCAST_TOKEN": server.token, "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
    code, out, _ = await asyncio.to_thread(lambda: finish(spawn(*watch, **trusting)))
    assert (code, [line.split()[0] for line in out.splitlines()[:2]]) == (1, ["1", "2"])  # the run had failed
    importing = ["import", "--url", server.url, spec]
    code, _, err = await asyncio.to_thread(lambda: finish(spawn(*importing, RUNCAST_TOKEN=server.token)))
    assert (code, "certificate verify failed" in err) == (1, True), err


async def test_client_trusts_nobody_without_being_told(server: LiveServer) -> None:
    """A certificate of an authority that is not known is an error that says so."""
    async with RunClient(server.url, server.token) as client:
        with pytest.raises(ConnectionLostError, match="certificate verify failed"):
            await client.projects()


async def test_client_trusts_whom_its_caller_names(server: LiveServer, tmp_path: Path) -> None:
    """An ``ssl_context`` of the caller's own is used for requests and for watching."""
    run = await seed_run(server)
    await run.finish()
    trust = ssl.create_default_context(cafile=tmp_path / "authority.pem")
    async with RunClient(server.url, server.token, ssl_context=trust) as client:
        assert [event.id async for event in client.watch(run.id)] == [1, 2]
        assert (await client.get_run(run.id)).id == run.id


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_trust_that_cannot_be_read_is_named(
    tmp_path: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in ``SSL_CERT_FILE`` that is missing or holds something else is said to be that; http needs none."""
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(RunClientError, match=f"no trusted certificates, {file} cannot be read: "):
        RunClient("https://127.0.0.1:9")
    RunClient("http://127.0.0.1:9")
