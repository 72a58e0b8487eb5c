"""What a process and its children use, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

ESTABLISHED = "01"


def family(pid: int) -> list[int]:
    """The process and everything below it."""
    members = [pid]
    for member in members:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                members += map(int, children.read_text().split())
    return members


def cpu_ns(pids: list[int]) -> int:
    """CPU time of these processes with all their threads, user and system, in nanoseconds."""
    # the process's CPU clock: see clock_getcpuclockid(3); /proc/PID/stat has the same sum in ticks of 10 ms
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def rss_kb(pids: list[int]) -> int:
    """Memory of these processes that is resident, counted page by page."""
    return sum(int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Rss:", 1)[1].split()[0]) for pid in pids)


def established(port: int) -> set[int]:
    """The ports of the clients with which a server on this machine still has connections, as the kernel sees it."""
    clients = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if state == ESTABLISHED and int(local.rpartition(":")[2], 16) == port:
            clients.add(int(remote.rpartition(":")[2], 16))
    return clients


def raise_file_limit() -> None:
    """Let this process open as many files as it may; its children inherit that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def server_core() -> int:
    """The core on which servers run."""
    return min(_CORES)


def generator_core() -> int:
    """The core on which the generator runs; on a machine with one core, the same."""
    return max(_CORES)


def pin(core: int) -> None:
    """Run this process on one core, and what it starts from now on."""
    os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run what is started in this context on one core."""
    before = os.sched_getaffinity(0)
    pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


_CORES = os.sched_getaffinity(0)
