"""Delivering run logs to viewers, live and from a cursor. Knows runs as ids, logs and snapshots."""

__version__ = "0.1.0"
