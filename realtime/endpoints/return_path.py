"""Where somebody goes after signing in: the page they came from, if it is one of ours. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlencode

_PAGE = re.compile(
    r"/projects/[0-9A-Fa-f-]{32,36}"
    r"(/(runs|documents)/[0-9A-Fa-f-]{32,36}|/artifacts(/[0-9A-Fa-f-]{32,36})?)?"
    r"(\?(run_id=[0-9A-Fa-f-]{32,36}|(page|line)=[0-9]{1,7}))?"
)
"""The paths of the pages that are a member's only. It has no character that could end a path or lead out of it."""


def page_path(asked: str) -> str:
    """``asked`` where it is the path of one of our pages, with its query; else ``/``, from where a project is found.

    Nothing is decoded or mended: an address of another host, or one that some browser might take for that, is none.
    """
    return asked if _PAGE.fullmatch(asked) else "/"


def sign_in_path(asked: str) -> str:
    """The page to sign in at for who asked for that page, and is to return to it."""
    path = page_path(asked)
    return "/sign-in" if path == "/" else f"/sign-in?{urlencode({'next': path})}"
