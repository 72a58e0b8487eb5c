"""A real nginx between a viewer and the server."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from peers.programs import child
from ports import free_port

STOP_S = 30.0
CONFIG = """
daemon off;
master_process off;  # one process: who ends it leaves none behind
pid {folder}/pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream kept {{ server {server}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{default_port};
    location / {{ proxy_pass http://{server}; }}
  }}
  server {{
    listen 127.0.0.1:{kept_port};
    location / {{
      proxy_pass http://kept;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


class Nginx(NamedTuple):
    """Where it listens: by ``http10`` it asks the server in its default version, by ``http11`` in 1.1.

    The latter keeps connections to the server for further requests, and lets WebSockets through.
    """

    http10: str
    http11: str


@contextlib.asynccontextmanager
async def nginx_before(server_url: str, folder: Path) -> AsyncIterator[Nginx]:
    """An nginx that serves; in the end it has ended, and it fails if nginx warned of anything meanwhile."""
    default_port, kept_port = free_port(), free_port()
    config = folder / "nginx.conf"
    server = server_url.removeprefix("http://")
    config.write_text(CONFIG.format(folder=folder, server=server, default_port=default_port, kept_port=kept_port))
    async with child("nginx", "-p", str(folder), "-c", str(config), "-e", "stderr") as process:
        await _listening(process)
        yield Nginx(f"http://127.0.0.1:{default_port}", f"http://127.0.0.1:{kept_port}")
        process.terminate()
        async with asyncio.timeout(STOP_S):
            _, log = await process.communicate()
    complaints = [line for line in log.decode().splitlines() if "[notice]" not in line]
    assert (process.returncode, complaints) == (0, [])


async def _listening(process: Process) -> None:
    """Return when its sockets are open: it names its event method after that."""
    assert process.stderr is not None
    said = b""
    while line := await process.stderr.readline():
        said += line
        if b"event method" in line:
            return
    raise AssertionError(f"nginx did not start: {said.decode()}")
