"""What the server says of itself: one line per event on standard error, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
MASK = "***"

_SECRETS = (
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)*"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*[:=,]).*"), rf"\1\2 {MASK}"),
    (re.compile(r"(?i)\b((?:access_)?token|code|password|secret|api_?key)=[^\s&\"'<>]+"), rf"\1={MASK}"),
    (re.compile(r"(\w://[^\s/:@]*):[^\s/]+@"), rf"\1:{MASK}@"),
)
"""Tokens, headers that hold them, one-time codes and other fields of a URL, and passwords before its host."""
_SECRET_NAMES = re.compile(r"(?i)(authorization|cookie|password|secret|token|api_?key)$")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What could move a terminal's cursor, or forge a line."""


def mask(text: str) -> str:
    """``text`` with everything masked that looks like a secret, and without control characters."""
    for pattern, masked in _SECRETS:
        text = pattern.sub(masked, text)
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


def mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A processor: the event with secrets masked in all values, whatever they are, tracebacks included."""
    return {name: _masked(value, name) for name, value in event.items()}


def _masked(value: Any, name: str = "") -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAMES.search(name):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item) for item in value]
    return mask(value if isinstance(value, str) else repr(value))


class _Bridge(logging.Handler):
    """Takes what libraries log by Python's own means to our log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger()
            log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


_bridge = _Bridge()


def _as_text() -> Processor:
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


_RENDERERS = {"text": _as_text, "json": structlog.processors.JSONRenderer}
FORMATS = tuple(_RENDERERS)
"""For people, or one JSON object a line for programs."""


def configure_logging(level: str, form: str = "text") -> None:
    """Log from ``level`` (debug, info, warning, error) on; of libraries, warnings and worse.

    Tracebacks are plain: no values of variables are shown. May be called again.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_secrets,
            _RENDERERS[form](),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _bridge.setLevel(max(logging.WARNING, LEVELS[level]))
    logging.getLogger().addHandler(_bridge)
