"""What the server hands out for pages: files with tags, and its client as a package."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import pytest
from html_tree import Element
from live import LiveServer
from page_stage import show
from quart import Quart, url_for

from realtime.endpoints.static import static_blueprint

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "realtime" / "web" / "static"
OURS = re.compile(r"/static/v-(\w+)/(.+)")


def linked(root: Element) -> list[str]:
    """The addresses of all that a page has its browser load, in order."""
    loading = [*root.all("link"), *root.all("script"), *root.all("img")]
    addresses = [element.attributes.get("href") or element.attributes.get("src") for element in loading]
    return [address for address in addresses if address and not address.startswith("#")]


async def linked_script(folder: Path) -> str:
    """How a template of a server with that folder links its script."""
    app = Quart(__name__)
    app.register_blueprint(static_blueprint(folder))
    async with app.test_request_context("/"):
        return url_for("static.file", filename="script.js")


async def test_static_file_is_served_once_and_then_confirmed(server: LiveServer) -> None:
    """A script of the page comes with its type and a tag; asked for again with that tag, only 304 comes back."""
    first = await server.http.get("/static/run-client.js")
    assert first.status_code == 200
    assert first.headers["content-type"].startswith("text/javascript")
    again = await server.http.get("/static/run-client.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    missing = await server.http.get("/static/none.js")
    assert (missing.status_code, missing.json()["error"]) == (404, "NOT_FOUND")


async def test_client_package_has_what_its_manifest_lists_and_no_page(server: LiveServer) -> None:
    """The tarball is laid out as npm expects, holds every module that an entry needs, and none of the page's own."""
    answer = await server.http.get("/static/runcast-client.tgz")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/gzip")
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        names = {name.removeprefix("package/") for name in tar.getnames()}
        manifest = json.load(tar.extractfile("package/package.json"))  # type: ignore[arg-type]
    assert {"LICENSE", "package.json", "run-client.js", "run-client.d.ts", "apply-event.js", "agent-run.js"} <= names
    assert set(manifest["files"]) <= names | {name.partition("/")[0] for name in names}
    assert not any(name.startswith(("page/", "style")) for name in names)
    assert (STATIC / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    again = await server.http.get("/static/runcast-client.tgz")
    assert again.headers["etag"] == answer.headers["etag"]


async def test_client_package_has_an_address_of_its_bytes(server: LiveServer) -> None:
    """The one without a build tells it, and what is there is kept; who asks for another build is told it, too."""
    now = await server.http.get("/static/runcast-client.tgz")
    address = now.headers["content-location"]
    assert re.fullmatch(r"/static/runcast-client-\d+\.\d+\.\d+-[0-9a-f]{12}\.tgz", address)
    assert now.headers["cache-control"] == "no-cache"
    kept = await server.http.get(address)
    assert (kept.content, kept.headers["cache-control"]) == (now.content, "public, max-age=31536000, immutable")
    before = await server.http.get("/static/runcast-client-0.1.0-000000000000.tgz")
    assert (before.status_code, before.json()["error"]) == (404, "NOT_FOUND")
    assert address in before.json()["message"] == before.headers["npm-notice"]


async def test_page_links_addresses_that_are_kept_for_ever(server: LiveServer) -> None:
    """Scripts, styles and pictures of a page stand under one version, which browsers need not ask for again."""
    addresses = linked((await show(server)).root)
    (version,) = {OURS.fullmatch(address)[1] for address in addresses}  # type: ignore[index]
    assert len(addresses) == len({*addresses}) + 1, "each once, but for the icon in the tab and in the page"
    for address in addresses:
        answer = await server.http.get(address)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    stable = await server.http.get("/static/run-client.js")
    versioned = await server.http.get(f"/static/v-{version}/run-client.js")
    assert (versioned.content, versioned.headers["etag"]) == (stable.content, stable.headers["etag"])
    assert stable.headers["cache-control"] == "no-cache"
    head = await server.http.head(f"/static/v-{version}/run-client.js")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", stable.headers["etag"])


@pytest.mark.parametrize("version", ["000000000000", "x", "1.0", "..", "%2e%2e"])
async def test_another_version_gets_what_is_there_and_keeps_it_not(server: LiveServer, version: str) -> None:
    """A page of an older or newer server is served; what it gets is asked for again, and leads to no other file."""
    known = await server.http.get(f"/static/v-{version}/run-client.js")
    assert (known.status_code, known.headers["cache-control"]) == (200, "no-cache")
    assert known.content == (STATIC / "run-client.js").read_bytes()
    for missing in ("none.js", "", "..%2fapp.py", "/etc/passwd", "page/../run-client.js%00"):
        assert (await server.http.get(f"/static/v-{version}/{missing}")).status_code == 404, missing


async def test_version_is_of_all_files(tmp_path: Path) -> None:
    """It is the same for the same files, and another as soon as any of them changes, has a new name, or is new."""
    (tmp_path / "package.json").write_text('{"version": "1.0.0", "files": []}')
    (tmp_path / "script.js").write_text("import './other.js';")
    (tmp_path / "other.js").write_text("1")
    seen = [await linked_script(tmp_path)]
    assert await linked_script(tmp_path) == seen[0]
    (tmp_path / "other.js").write_text("2")
    seen.append(await linked_script(tmp_path))
    (tmp_path / "other.js").rename(tmp_path / "renamed.js")
    seen.append(await linked_script(tmp_path))
    (tmp_path / "new.css").touch()
    seen.append(await linked_script(tmp_path))
    assert len({*seen}) == len(seen)
    assert all(OURS.fullmatch(address) for address in seen)
