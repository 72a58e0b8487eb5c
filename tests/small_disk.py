"""A disk that is soon full: a small file system or, where nobody may mount one, a limit on the sizes of files."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1_000_000


class SmallDisk:
    """A directory with little room."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self.is_mounted = _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "none", str(folder))
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if not self.is_mounted:  # Python ignores the signal that comes with this; children inherit both
            resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes * MEGABYTE, self._limits[1]))

    def grow(self) -> None:
        """Make room; processes that were started before keep their limit where nothing is mounted."""
        if self.is_mounted:
            assert _mount("-o", "remount,size=256m", str(self.folder))
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)

    def close(self) -> None:
        """Take it away."""
        if self.is_mounted:
            subprocess.run(["umount", str(self.folder)], check=True)
        else:
            self.grow()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Little room in ``folder``, which is made."""
    folder.mkdir()
    disk = SmallDisk(folder, megabytes)
    try:
        yield disk
    finally:
        disk.close()


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
