"""The page's scripts, styles and pictures: few and small, read once, served from memory.

Quart's own static files are opened per request in a thread, and one stays open when the browser leaves meanwhile.
"""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

MIMETYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""What machines disagree about."""


def static_blueprint(folder: Path) -> Blueprint:
    """``/static/{filename}``: every file below ``folder``, to be checked with the server each time it is used."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
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


def _mimetype(filename: str) -> str:
    known = MIMETYPES.get(Path(filename).suffix)
    return known or mimetypes.guess_type(filename)[0] or "application/octet-stream"
