"""The examples of docs/embedding.md, and what is needed to run them: pages of another origin, npm, a bundler."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers" / "node_modules"
SERVER_IN_DOCS = "https://runs.example.org"
RUN_IN_DOCS = "RUN_ID"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(heading: str, *, server: str, run_id: str = "") -> list[str]:
    """The examples under a heading of the document, in order, with this server and this run in them."""
    text = (ROOT / "docs" / "embedding.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = [body for _, body in BLOCK.findall(section)]
    assert found, f"no example under {heading!r}"
    return [body.replace(SERVER_IN_DOCS, server).replace(RUN_IN_DOCS, run_id) for body in found]


class Site:
    """A web site with the pages it is given, at an origin of its own; blank where it was given none."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = site.pages.get(self.path, "").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="site")
        self._thread.start()
        self.origin = f"http://localhost:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def install_package(folder: Path, server: str) -> None:
    """Install the server's client into ``folder`` as the document says, beside the types of React."""
    npm = {"audit": "false", "fund": "false", "update_notifier": "false", "cache": str(folder / "cache")}
    (folder / "package.json").write_text("{}")
    _call(
        ["sh", "-ec", examples("As a package", server=server)[0]],
        folder,
        **{f"npm_config_{name}": value for name, value in npm.items()},
    )
    (folder / "node_modules" / "@types").symlink_to(PEERS / "@types")


def check_types(folder: Path, *files: str) -> None:
    """Have TypeScript check these files, as strictly as it can, against the declarations that they import."""
    strict = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--lib", "es2022,dom")
    bundled = ("--module", "esnext", "--moduleResolution", "bundler", "--jsx", "react-jsx")
    _call([str(PEERS / ".bin" / "tsc"), *strict, *bundled, *files], folder)


def bundle(folder: Path, entry: str) -> str:
    """The script that a bundler makes of ``entry`` and all that it imports."""
    output = folder / f"{entry}.bundle.js"
    options = ("--bundle", "--format=esm", "--jsx=automatic", f"--outfile={output}", "--log-level=warning")
    define = '--define:process.env.NODE_ENV="production"'
    _call([str(PEERS / ".bin" / "esbuild"), entry, *options, define], folder, NODE_PATH=str(PEERS))
    return output.read_text()


def serve_at(page: Page, origin: str, script: str, body: str = '<div id="app"></div>') -> None:
    """Open a page of the server's own origin that consists of ``body`` and ``script``."""
    html = f'<!doctype html><title>embedded</title>{body}<script type="module" src="/embedded/script.js"></script>'
    page.route(f"{origin}/embedded/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route(
        f"{origin}/embedded/script.js", lambda route: route.fulfill(body=script, content_type="text/javascript")
    )
    page.goto(f"{origin}/embedded/")


def _call(command: list[str], folder: Path, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}\n{done.stderr}"
