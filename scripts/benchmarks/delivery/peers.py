"""What the peers need, put in place once: Debian packages, and pinned npm and Python packages under ``.bench/``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from delivery.catalogue import BENCH, PEER_PYTHON, Server

NPM = ("ws@8.23.0", "socket.io@4.8.4")
PYTHON = (
    "fastapi==0.165.0",
    "sse-starlette==3.7.0",
    "uvicorn==0.54.0",
    "httptools==0.9.0",
    "websockets==17.0",
    "uvloop==0.23.0",
    "python-socketio==5.18.1",
    "matplotlib==3.11.2",
)
INSTALL_S = 600
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

console = Console(stderr=True)


class NotInstalledError(Exception):
    """Something cannot be had; the text says what and why."""


def installed(servers: Iterable[Server]) -> list[Server]:
    """Those of ``servers`` that can run here, after what they lack has been installed.

    One that cannot be had is left out, with a line that says why.
    """
    reasons: dict[str, str] = {}
    kept = []
    for server in servers:
        for need in server.needs:
            if need not in reasons:
                reasons[need] = _reason_against(need)
        missing = [reasons[need] for need in server.needs if reasons[need]]
        if missing:
            console.print(f"{server.name} is left out: {missing[0]}", style="yellow", markup=False)
        else:
            kept.append(server)
    return kept


def install_python() -> None:
    """The virtual environment of the Python peers and of the plots.

    Raises:
        NotInstalledError: it cannot be made.

    """
    stamp = BENCH / "python" / "installed"
    wanted = "\n".join(PYTHON)
    if PEER_PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    _run("making a virtual environment", [sys.executable, "-m", "venv", "--clear", str(BENCH / "python")])
    pip = [str(PEER_PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    _run("pip", [*pip, *PYTHON])
    stamp.write_text(wanted)


def _reason_against(need: str) -> str:
    """Why it cannot be had; empty: it is there."""
    try:
        {"nginx": _install_nginx, "npm": _install_npm, "python": install_python}[need]()
    except NotInstalledError as error:
        return str(error)
    return ""


def _install_nginx() -> None:
    if not shutil.which("nginx") or not NCHAN.exists():
        _install_debian("nginx", "libnginx-mod-nchan")


def _install_npm() -> None:
    if not shutil.which("node"):
        _install_debian("nodejs")
    pinned = [name.rpartition("@") for name in NPM]
    if all(_npm_version(name) == version for name, _, version in pinned):
        return
    if not shutil.which("npm"):
        _install_debian("npm")
    BENCH.mkdir(exist_ok=True)
    flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", str(BENCH)]
    _run("npm", ["npm", "install", *flags, *NPM])


def _npm_version(name: str) -> str | None:
    try:
        return str(json.loads((BENCH / "node_modules" / name / "package.json").read_bytes())["version"])
    except FileNotFoundError:
        return None


def _install_debian(*packages: str) -> None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise NotInstalledError(f"install {' and '.join(packages)} (on Debian as root it is done here)")
    _run("apt-get update", ["apt-get", "update", "-qq"])
    _run("apt-get", ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages])


def _run(what: str, command: Sequence[str]) -> None:
    console.print(f"Installing: {' '.join(command[:3])} …", style="dim", markup=False)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise NotInstalledError(f"{what} failed: {said[-1] if said else error}") from error
