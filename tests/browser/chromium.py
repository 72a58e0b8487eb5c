"""The browser that everything here runs in."""

from __future__ import annotations

import os
import shutil

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that a test hands out in the server's place comes from nowhere, and may not ask the server on loopback.
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
)


def find_chromium() -> str | None:
    """The Chromium of ``RUNCAST_CHROMIUM``, else the system's; None: Playwright's own, if it has one."""
    found = (shutil.which(name) for name in CHROMIUM_NAMES)
    return os.environ.get("RUNCAST_CHROMIUM") or next(filter(None, found), None)
