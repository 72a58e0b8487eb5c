"""What a server keeps in its home, where others of the machine may look into the directory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from live import live_server

from realtime.wiring.opening import read_secret


async def test_files_of_a_home_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """A home that was made before, open to everybody, gets no file that others can read, also while it is served."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    async with live_server(home):
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in home.rglob("*") if file.is_file()}
    assert {"lock", "secret", "server.json", "shared.db"} <= set(modes)
    assert set(modes.values()) == {"0o600"}, modes


def test_secret_read_by_many_at_once_is_one_and_leaves_no_draft(tmp_path: Path) -> None:
    """Whoever comes first makes it, whole; all read the same."""
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(read_secret, [tmp_path] * 32))
    assert len(secrets) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]
