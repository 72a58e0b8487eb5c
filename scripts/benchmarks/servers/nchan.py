"""nginx with its push module nchan, one worker. It is published to with POST requests, so no command is obeyed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from line_protocol import options, run_ids, tell

MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
START_S = 10.0
CONFIGURATION = """
load_module {module};
{user}
worker_processes 1;
daemon off;
pid {directory}/pid;
error_log stderr warn;
worker_rlimit_nofile {files};
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_body_buffer_size 64k;
    keepalive_requests 100000000;
    tcp_nodelay on;
    nchan_shared_memory_size 256m;
    nchan_message_buffer_length 2000;
    nchan_message_timeout 10m;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location ~ ^/publish/(\\d+)$ {{ nchan_publisher; nchan_channel_id $1; }}
        location ~ ^/ws/(\\d+)$ {{ nchan_subscriber websocket; nchan_channel_id $1; }}
        location ~ ^/sse/(\\d+)$ {{ nchan_subscriber eventsource; nchan_channel_id $1; }}
    }}
}}
"""


def free_port() -> int:
    """A port that nobody listens on now: nginx cannot choose one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_listening(port: int, server: subprocess.Popen[bytes]) -> None:
    """Return when connections are accepted; the program ends where that does not happen."""
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    sys.exit(f"nginx does not listen on port {port}")


def main() -> None:
    """Run nginx until stdin ends."""
    runs = options()["runs"]
    port = free_port()
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr.strip()
    package = ["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"]
    nchan = subprocess.run(package, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        configuration = Path(directory) / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        files = os.sysconf("SC_OPEN_MAX")
        configuration.write_text(
            CONFIGURATION.format(module=MODULE, directory=directory, port=port, user=user, files=files)
        )
        server = subprocess.Popen(
            ["nginx", "-p", directory, "-c", configuration, "-e", "stderr"], stdin=subprocess.DEVNULL
        )
        try:
            wait_until_listening(port, server)
            versions = {"nginx": version.rpartition("/")[2], "nchan": nchan}
            tell(port=port, versions=versions, runs=run_ids(runs), heads=[0] * runs)
            sys.stdin.read()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
