"""Ports for programs that have to be told theirs."""

from __future__ import annotations

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Whoever asks for any port, or connects to somebody, gets one above these: nobody is given them meanwhile."""


def free_port() -> int:
    """A port of this machine that nobody uses."""
    while True:
        port = random.choice(BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
