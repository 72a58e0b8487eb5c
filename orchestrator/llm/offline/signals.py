"""What a piece of plain text says: ids, obligations, endpoints, status codes, limits, conditions, steps."""

from __future__ import annotations

import re
from enum import StrEnum
from http import HTTPStatus

import msgspec


class Priority(StrEnum):
    """How much a document insists on something."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """An HTTP method and a path as the document writes it."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
CRITERION_PREFIXES = frozenset({"AC", "TC", "TEST", "CHECK", "GWT"})
_NOT_REQUIREMENTS = frozenset(
    re.findall(
        r"\w+",
        "UTF SHA ISO RFC HTTP HTTPS TLS SSL MD AES RSA IPV IEEE CVE EN DIN X H OAUTH BASE WCAG PCI ES ECMA COVID",
    )
)
_ID = r"[A-Z][A-Z0-9]{0,9}(?:[-_][A-Z][A-Z0-9]{0,9}){0,3}[-_]\d{1,6}(?:[.-]\d{1,4}){0,3}[a-z]?"
_SHORT_ID = r"(?:AC|TC|FR|NFR|US|UC|BR|REQ|SR)[ ]?\d{1,6}(?:\.\d{1,4}){0,3}"
_ANY_ID = re.compile(rf"(?<![\w/-])(?:{_ID}|{_SHORT_ID})(?![\w/-])")
_LEADING_ID = re.compile(rf"^[\[(]?({_ID}|{_SHORT_ID})(?![\w/])[\])]?(?:\s*[:.|)\u2013\u2014-]+(?=\s|$))*\s*")
_OBLIGATION = re.compile(
    r"\b(?:must(?:n't| not| never)?|shall(?: not)?|should(?:n't| not)?|(?:has|have) to|needs? to|needs an?|"
    r"(?:is|are) required to|(?:is|are) not (?:allowed|permitted) to|may not|cannot|can ?not|can['\u2019]t)(?!\w)",
    re.IGNORECASE,
)
_LOUD = re.compile(r"\b(?:REQUIRED|RECOMMENDED|OPTIONAL|MAY)\b")
_SOFT = frozenset({"should", "shouldn't", "should not", "recommended"})
_NEGATION = re.compile(
    r"\b(?:must not|mustn't|must never|shall not|should not|may not|cannot|can ?not|can['\u2019]t|only)\b", re.I
)
_STORY = re.compile(r"^as an? .{2,80}?,? (?:i|we) (?:want|need|can|would like)\b", re.IGNORECASE)
_STORY_PARTS = re.compile(
    r"^as (an? .{2,80}?),? (?:i|we) (?:want|need|would like|can) (.{2,400}?)(?:,? so that (.{2,400}))?$",
    re.IGNORECASE,
)
_CHECK = re.compile(
    r"^(?:(?:verify|confirm|assert|validate) |(?:check|ensure|test|make sure) (?:that|if|whether) )", re.IGNORECASE
)

_METHOD_WORD = rf"(?:{'|'.join(METHODS)})"
_ENDPOINT = re.compile(
    rf"\b({_METHOD_WORD}(?:\s?[,/|]\s?{_METHOD_WORD}){{0,6}})[\s:`*]{{1,5}}"
    r"((?:https?://[^\s/`\"'<>|,]{1,200})?/(?:<[\w:-]{1,40}>|[^\s`\"'<>|,;()\[\]\u201c\u201d\u2018\u2019]){0,300})"
)
_STATUS = re.compile(r"(?<![\w.,:/#$€£\u2013-])([1-5]\d\d)(?![\w%:/-]|[.,]\d)")
_STATUS_BEFORE = re.compile(
    r"(?:status(?: codes?)?|codes?|http(?:/[\d.]+)?|errors?|returns?|returned|respon(?:d|ds|se|ses)(?: is| with)?|"
    r"answer(?:s|ed)?(?: is| with)?|gets?|gives?|with(?: an?)?|rejected|refused|→|->|=>|=|is|be|or|and|an?|,|/|\(|:)"
    r"\s*[:`(\"]?\s*$",
    re.IGNORECASE,
)
_HTTP_WORDS = re.compile(
    r"\b(?:status|http|respon(?:d|ds|se|ses)|return(?:s|ed)?|answer(?:s|ed)?|endpoint|request|error|code)\b|→|->",
    re.IGNORECASE,
)
_UNIT_AFTER = re.compile(
    r"^\s?(?:ms|s|sec|seconds?|minutes?|hours?|days?|kb|mb|gb|kib|mib|bytes?|characters?|chars?|users?|items?|px|"
    r"percent|requests?|rows?|times?|entries|files?|orders?|people|viewers?|eur|usd|gbp)\b",
    re.IGNORECASE,
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_NUMBER = r"[€$£]?\d[\d.,]{0,15}(?: ?(?:%|[A-Za-z]{1,15}(?!\w)))?"
_LIMIT = re.compile(
    r"(?:\b(?:at most|at least|no (?:more|less|fewer) than|up to|max(?:imum)?(?: of)?|min(?:imum)?(?: of)?|"
    r"within|less than|more than|fewer than|under|over|exceed(?:s|ing)?|longer than|shorter than|larger than|"
    rf"smaller than|below|above|not exceed)|[<>≤≥]=?) (?:a |an |the )?{_NUMBER}"
    rf"|\bbetween {_NUMBER} and {_NUMBER}|\b{_NUMBER} or (?:more|fewer|less)\b",
    re.IGNORECASE,
)
_STEP = re.compile(r"^(Given|When|Then|And|But)(?=[\s,:])[\s,:]+(?=\S)")
_INLINE_STEPS = re.compile(
    r"^(?:given (?P<given>.{2,600}?)[,;.]? (?:and |)when|when) (?P<when>.{2,600}?)[,;.]? then (?P<then>.{2,})$",
    re.IGNORECASE,
)
_LEADING_CONDITION = re.compile(r"^(if|when|whenever|once|while) (.{2,300}?), (?:then )?(?=\S)", re.IGNORECASE)
_TRAILING_CONDITION = re.compile(r",? (if|when|whenever|once|while) (.{2,300})$", re.IGNORECASE)
_CLOSING = ".,;:!?)*_`'\""


def leading_id(text: str) -> tuple[str | None, str]:
    """The id that the text begins with, if it does, and the text after it."""
    match = _LEADING_ID.match(text)
    if match is None or not _names_something(match.group(1)):
        return None, text
    return _canonical(match.group(1)), text[match.end() :]


def mentioned_ids(text: str) -> frozenset[str]:
    """Every id in the text."""
    return frozenset(_canonical(found) for found in _ANY_ID.findall(text) if _names_something(found))


def _names_something(found: str) -> bool:
    return re.split(r"[-_ \d]", found, maxsplit=1)[0] not in _NOT_REQUIREMENTS


def _canonical(found: str) -> str:
    return found.replace(" ", "-")


def is_criterion_id(found: str) -> bool:
    """Whether ids of this kind name a test idea rather than a requirement."""
    return any(part in CRITERION_PREFIXES for part in re.split(r"[-_\d.]", found))


def obligation(text: str) -> Priority | None:
    """How much the text insists, by its strongest modal verb; None where it obliges to nothing, or asks."""
    if text.endswith("?"):
        return None
    found = [match.group().lower() for match in _OBLIGATION.finditer(text)]
    found += [match.group().lower() for match in _LOUD.finditer(text)]
    if any(word not in _SOFT and word not in {"may", "optional"} for word in found):
        return Priority.MUST
    if any(word in _SOFT for word in found):
        return Priority.SHOULD
    return Priority.MAY if found else None


def is_story(text: str) -> bool:
    """``As a …, I want …``."""
    return _STORY.match(text) is not None


def is_check(text: str) -> bool:
    """``Verify that …`` and its kind."""
    return _CHECK.match(text) is not None


def forbids(text: str) -> bool:
    """Whether the text says what must not happen, or only for some."""
    return _NEGATION.search(text) is not None


def priority_word(cell: str) -> Priority | None:
    """What a cell of a priority column stands for."""
    word = cell.casefold().strip(" .*_")
    if word.startswith(("must", "shall", "high", "p0", "p1", "critical", "required", "mandatory", "blocker")):
        return Priority.MUST
    if word.startswith(("should", "medium", "p2", "recommended", "normal")):
        return Priority.SHOULD
    return Priority.MAY if word.startswith(("could", "may", "low", "p3", "p4", "optional", "won't", "nice")) else None


def endpoints(text: str) -> tuple[Endpoint, ...]:
    """Every method and path in the text, in order, each once."""
    found: dict[Endpoint, None] = {}
    for methods, written in _ENDPOINT.findall(text):
        path = written.rstrip(_CLOSING)
        if "/" in path.removeprefix("https://").removeprefix("http://") or path == "/":
            for method in re.findall(_METHOD_WORD, methods):
                found[Endpoint(method, path or "/")] = None
    return tuple(found)


def status_codes(text: str, *, expected: bool = False) -> tuple[int, ...]:
    """HTTP status codes in the text, in order. ``expected``: the place speaks of HTTP, so any known code counts."""
    found: dict[int, None] = {}
    about_http = expected or _HTTP_WORDS.search(text) is not None
    for match in _STATUS.finditer(text):
        number = int(match.group(1))
        after = text[match.end() : match.end() + 40].lstrip('`")*')
        if number not in _REASONS or _UNIT_AFTER.match(after):
            continue
        before = text[max(0, match.start() - 40) : match.start()].rstrip('`"(*')
        named = after.strip().casefold().startswith(_REASONS[number].casefold())
        starts = not before.strip() and (expected or not after.strip(" .:;"))
        if named or (number >= 200 and about_http and (starts or expected or _STATUS_BEFORE.search(before))):
            found[number] = None
    return tuple(found)


def clause_of(status: int, text: str) -> str:
    """What a text with several status codes says of this one: from the code to the next code, cell or semicolon."""
    match = re.search(rf"(?<!\d){status}(?!\d)(?: [^;·]*?)??(?=,? (?:and |or )?[1-5]\d\d(?!\d)|[;·]|$)", text)
    return match.group().rstrip(" .,") if match else str(status)


def reason(status: int) -> str:
    """The reason phrase of a status code."""
    return _REASONS[status]


def limits(text: str) -> tuple[str, ...]:
    """Phrases that set a limit (``at most 5 MB``), in order, each once."""
    return tuple(dict.fromkeys(match.group().rstrip(" .,") for match in _LIMIT.finditer(text)))


def step_of(text: str) -> tuple[str, str] | None:
    """The Gherkin keyword the text begins with, and the rest."""
    match = _STEP.match(text)
    return (match.group(1), text[match.end() :]) if match else None


def inline_steps(text: str) -> tuple[tuple[str, str], ...]:
    """The steps of a ``Given …, when …, then …`` in one sentence; empty where it is none."""
    match = _INLINE_STEPS.match(text)
    if match is None:
        return ()
    steps = [(word.capitalize(), match.group(word)) for word in ("given", "when", "then")]
    return tuple((keyword, said.rstrip(" .,;")) for keyword, said in steps if said)


def condition(text: str) -> tuple[tuple[str, str] | None, str]:
    """(keyword, condition) and what holds under it, for ``If …, X must …`` and ``X must … when …``."""
    match = _LEADING_CONDITION.match(text)
    if match:
        return (_keyword(match.group(1)), match.group(2)), text[match.end() :]
    modal = _OBLIGATION.search(text)
    match = _TRAILING_CONDITION.search(text, modal.end() if modal else 0)
    if match and match.start():
        return (_keyword(match.group(1)), match.group(2).rstrip(" .")), text[: match.start()]
    return None, text


def story(text: str) -> tuple[str, str, str] | None:
    """(role, wish, benefit) of ``As a …, I want …, so that …``; the benefit may be empty."""
    match = _STORY_PARTS.match(text)
    return (match.group(1), match.group(2).rstrip(" ,."), (match.group(3) or "").rstrip(" .")) if match else None


def _keyword(word: str) -> str:
    return "Given" if word.lower() in {"if", "while"} else "When"
