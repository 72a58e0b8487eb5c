"""The page's scripts, styles and pictures: few and small, read once, served from memory.

Quart's own static files are opened per request in a thread, and one stays open when the browser leaves meanwhile.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import mimetypes
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from quart import Blueprint, Response, request, url_for
from werkzeug.exceptions import NotFound

from realtime.endpoints.answers import error_answer
from realtime.imports import imported_files
from realtime.ports import RefusedError

MIMETYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".ts": "text/plain",
    ".tgz": "application/gzip",
}
"""What machines disagree about."""
MANIFEST = "package.json"
PACKAGE = "runcast-client.tgz"
CHECKED = "no-cache"
KEPT = "public, max-age=31536000, immutable"


def static_blueprint(folder: Path) -> Blueprint:
    """Every file below ``folder``, and the client of this very server as a package for npm.

    ``/static/runcast-client.tgz`` is the package as it is now; its ``Content-Location`` is
    ``/static/runcast-client-{build}.tgz``, where its bytes never change, as lock files need it. A server that has
    another build says so in words, which npm shows.

    ``/static/{filename}`` is the address to rely on, to be checked with the server each time it is used.
    ``/static/v-{version}/{filename}`` is what ``url_for("static.file", filename=...)`` gives to templates: the
    version is of all files together, what they link relative to themselves has it, too, and browsers keep each file.
    A page of another server, older or newer, asks for another version: it gets what is there now, to be checked.
    Templates also have ``imports_of(entry)``, all that a module or stylesheet needs (`imported_files`).
    """
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files[PACKAGE] = client_package(files)
    tags = {name: hashlib.sha256(content).hexdigest()[:32] for name, content in files.items()}
    current = version_of(tags)
    packed = f"{json.loads(files[MANIFEST])['version']}-{tags[PACKAGE][:12]}"
    texts = {name: content.decode() for name, content in files.items() if name.endswith((".js", ".css"))}
    blueprint = Blueprint("static", __name__)

    async def answer(filename: str, caching: str) -> Response:
        if filename not in files:
            raise NotFound
        response = Response(files[filename], mimetype=_mimetype(filename))
        response.set_etag(tags[filename])
        response.headers["Cache-Control"] = caching
        if filename == PACKAGE:
            response.content_location = url_for("static.package", build=packed)
        await response.make_conditional(request)
        return response

    @blueprint.get("/static/<path:filename>")
    async def stable(filename: str) -> Response:
        return await answer(filename, CHECKED)

    @blueprint.get("/static/runcast-client-<build>.tgz")
    async def package(build: str) -> Response:
        if build == packed:
            return await answer(PACKAGE, KEPT)
        there = url_for("static.package", build=packed)
        message = f"The client of this server is at {there}: install that one, and the lock file names it."
        response = error_answer(RefusedError(404, "NOT_FOUND", message))
        response.headers["npm-notice"] = message
        return response

    @blueprint.get("/static/v-<version>/<path:filename>")
    async def file(version: str, filename: str) -> Response:
        return await answer(filename, KEPT if version == current else CHECKED)

    @blueprint.url_defaults
    def link_current(endpoint: str, values: dict[str, str]) -> None:
        if endpoint == "static.file":
            values.setdefault("version", current)

    @blueprint.app_template_global()
    @cache
    def imports_of(entry: str) -> tuple[str, ...]:
        return imported_files(entry, texts)

    return blueprint


def version_of(tags: Mapping[str, str]) -> str:
    """A name for all files of these names and tags, short and fit for a path: another when any of them differs."""
    return hashlib.sha256(json.dumps(tags, sort_keys=True).encode()).hexdigest()[:12]


def client_package(files: Mapping[str, bytes]) -> bytes:
    """The tarball that ``npm pack`` would make of what ``package.json`` lists in ``files``: the same bytes each time.

    https://docs.npmjs.com/cli/configuring-npm/package-json#files
    """
    listed = json.loads(files[MANIFEST])["files"]
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name in sorted(files):
            if name == MANIFEST or any(name == entry or name.startswith(f"{entry}/") for entry in listed):
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(files[name])
                member.mode = 0o644
                tar.addfile(member, io.BytesIO(files[name]))
    return packed.getvalue()


def _mimetype(filename: str) -> str:
    known = MIMETYPES.get(Path(filename).suffix)
    return known or mimetypes.guess_type(filename)[0] or "application/octet-stream"
