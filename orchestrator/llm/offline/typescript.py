"""Steps in plain words -> Playwright code in TypeScript, where the words say enough."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

from orchestrator.llm.offline.findings import Example
from orchestrator.llm.offline.signals import Endpoint, endpoints, reason, status_codes
from orchestrator.llm.offline.wording import one_line, significant

_PARAMETER = re.compile(r"\{([\w.-]{1,40})\}|<(?:\w{1,20}:)?([\w-]{1,40})>|(?<=/):([A-Za-z_]\w{0,39})")
_QUOTED = re.compile(r"[\"“”]([^\"“”]{1,120})[\"“”]")
_PATH = re.compile(r"(?<!\S)[\"“`]?((?:https?://[^\s\"“”`]{1,200})|/[^\s\"“”`]{0,200})[\"”`]?")
_BELOW = re.compile(r"\bstatus is below (\d{3})\b")
_OPENS = re.compile(r"\b(?:opens?|visits?|goes to|go to|navigates? to|is on|am on|are on)\b", re.I)
_CLICKS = re.compile(r"\b(?:clicks?|press(?:es)?|taps?|selects?|chooses?|submits?)\b", re.I)
_FILLS = re.compile(r"\b(?:enters?|types?|fills?)\b", re.I)
_LANDS = re.compile(r"\b(?:redirected|lands?|taken|sent|url)\b", re.I)
_SEES = re.compile(r"\b(?:see|sees|shows?|shown|displays?|displayed|reads|appears?|visible|says|contains?)\b", re.I)
_NOT = re.compile(r"\b(?:not|no|never|cannot|hidden)\b", re.I)
_WRITES = frozenset({"POST", "PUT", "PATCH"})
_EXPECTS = frozenset({"Then"})


class Bound(msgspec.Struct, frozen=True):
    """Code for a step: a statement, or the request (``response``); ``asserts`` where it expects something.

    ``partly``: the words say more than the code does. ``source`` is where the body of a request comes from.
    """

    code: str
    response: bool = False
    asserts: bool = False
    fixture: str = "page"
    source: str = ""
    partly: bool = False


def string(text: str) -> str:
    """A TypeScript string literal that holds exactly this text, on one line."""
    return json.dumps(one_line(text), ensure_ascii=False)


def path_literal(path: str) -> str:
    """A literal for a path; its parameters become calls of ``value``."""
    if not _PARAMETER.search(path):
        return string(path)
    pieces, last = [], 0
    for match in _PARAMETER.finditer(path):
        name = match.group(1) or match.group(2) or match.group(3)
        pieces.append(_template(path[last : match.start()]) + "${value(" + string(name) + ")}")
        last = match.end()
    return f"`{''.join(pieces)}{_template(path[last:])}`"


def _template(text: str) -> str:
    return one_line(text).replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${")


def bound(role: str, text: str, examples: Mapping[Endpoint, Example], sent: Endpoint | None) -> Bound | None:
    """Code for a step, or None where its words do not say what to do.

    ``role`` is Given, When or Then (an And has that of the step before); ``sent`` is the request whose response is at
    hand, if there is one.
    """
    if role in _EXPECTS:
        return _expectation(text, answered=sent is not None)
    asked = endpoints(text)
    if len(asked) == 1:
        return _request(asked[0], examples.get(asked[0]))
    return _action(text)


def _request(endpoint: Endpoint, example: Example | None) -> Bound:
    options = f"method: {string(endpoint.method)}"
    if example and endpoint.method in _WRITES:
        options += f", data: {example.body}"
        where = str(example.source)
    else:
        where = ""
    return Bound(
        f"request.fetch({path_literal(endpoint.path)}, {{ {options} }})",
        response=True,
        fixture="request",
        source=where,
    )


def _action(text: str) -> Bound | None:
    quoted, path = _QUOTED.findall(text), _PATH.search(text)
    if _FILLS.search(text) and len(quoted) == 2:
        label, value = quoted if re.search(r"\bwith\b", text) else reversed(quoted)
        return Bound(f"await page.getByLabel({string(label)}).fill({string(value)});")
    if _CLICKS.search(text) and len(quoted) == 1:
        role = "link" if re.search(r"\blink\b", text, re.I) else "button"
        return Bound(f"await page.getByRole({string(role)}, {{ name: {string(quoted[0])} }}).click();")
    if _OPENS.search(text) and path:
        return Bound(f"await page.goto({path_literal(path.group(1).rstrip('.,;'))});")
    return None


def _expectation(text: str, *, answered: bool) -> Bound | None:
    below, codes = _BELOW.search(text), status_codes(text)
    if answered and below:
        return Bound(f"expect(response.status()).toBeLessThan({below.group(1)});", asserts=True, fixture="request")
    if answered and len(codes) == 1:
        expected = f"expect(response.status()).toBe({codes[0]});"
        more = significant(text) - significant(f"response status returned {codes[0]} {reason(codes[0])}")
        return Bound(expected, asserts=True, fixture="request", partly=bool(more))
    quoted, path = _QUOTED.findall(text), _PATH.search(text)
    if _LANDS.search(text) and path:
        return Bound(f"await expect(page).toHaveURL({path_literal(path.group(1).rstrip('.,;'))});", asserts=True)
    if _SEES.search(text) and len(quoted) == 1:
        no = ".not" if _NOT.search(_QUOTED.sub("", text)) else ""
        expected = f"await expect(page.getByText({string(quoted[0])})){no}.toBeVisible();"
        return Bound(expected, asserts=True, partly=" and " in _QUOTED.sub("", text))
    return None


def needs_body(endpoint: Endpoint, examples: Mapping[Endpoint, Example]) -> bool:
    """Whether a request that is to succeed lacks a body that the documents could have given."""
    return endpoint.method in _WRITES and endpoint not in examples
