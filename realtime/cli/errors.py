"""What ends a command early."""

from __future__ import annotations


class CommandError(Exception):
    """The command cannot be carried out; the text is for the person who gave it."""


class BadUseError(CommandError):
    """What was asked for can never be done as it was asked."""


class InUseError(CommandError):
    """Another server has what this process was to serve."""


class StoppedError(Exception):
    """Somebody pressed Ctrl-C, or the system asked this process to end."""
