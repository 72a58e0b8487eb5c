"""A program: ``generator_check.py TRANSPORT VIEWERS EVENTS`` measures `faulty_server` and prints what was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from delivery.catalogue import Server
from delivery.figures import deliver_measured
from delivery.publishers import Load
from delivery.session import session

SERVER = Server("faulty", (sys.executable, str(Path(__file__).parent / "faulty_server.py")))


def main(transport: str, viewers: int, events: int) -> None:
    """Measure, and print the figures."""
    with session(SERVER, transport) as running:
        running.connect(viewers, at_once=1)
        print(json.dumps(deliver_measured(running, Load(1, 40.0, events / 40.0))))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
