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
from pathlib import Path

from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

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


def static_blueprint(folder: Path) -> Blueprint:
    """``/static/{filename}``: every file below ``folder``, to be checked with the server each time it is used, and
    ``/static/runcast-client.tgz``, the client of this very server as a package for npm.
    """
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files[PACKAGE] = client_package(files)
    tags = {name: hashlib.sha256(content).hexdigest()[:32] for name, content in files.items()}
    blueprint = Blueprint("static", __name__)

    @blueprint.get("/static/<path:filename>")
    async def file(filename: str) -> Response:
        if filename not in files:
            raise NotFound
        response = Response(files[filename], mimetype=_mimetype(filename))
        response.set_etag(tags[filename])
        response.headers["Cache-Control"] = "no-cache"
        await response.make_conditional(request)
        return response

    return blueprint


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
