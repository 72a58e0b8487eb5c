"""What the server hands out for pages: files with tags, and its client as a package."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from live import LiveServer

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "realtime" / "web" / "static"


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
