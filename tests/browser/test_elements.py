"""`<agent-status-card>` by itself, in pages that know nothing else of us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from embedding import serve_at
from jinja2 import Environment, FileSystemLoader
from live_server import LiveServer
from playwright.sync_api import Page, expect

from realtime.snapshot import StepSnapshot

TEMPLATES = Path(__file__).parents[2] / "realtime" / "web" / "templates"
CARD = "import '/static/agent-status-card.js';"

STEPS: list[dict[str, Any]] = [
    {"status": "queued"},
    {"status": "running", "progress_pct": 40, "progress_label": 'Reading <shop> & "more"', "attempt": 1},
    {"status": "running", "progress_pct": 7, "stalled": True, "attempt": 2},
    {"status": "completed", "progress_pct": 100, "attempt": 1, "cached": True, "tokens_used": 1204},
    {"status": "completed", "progress_pct": 100, "reused": True},
    {"status": "failed", "progress_pct": 30, "attempt": 3, "error_message": "no answer"},
    {"status": "cancelled", "error_message": "not started: the run was cancelled"},
]

SAID = """cards => cards.map((card) => {
  const part = (name) => card.shadowRoot.querySelector(`.${name}`);
  return [
    part('chip').textContent,
    part('subtitle').textContent,
    part('progress').checkVisibility() ? part('percent').textContent : '',
    [...part('badges').children].map((badge) => badge.textContent).join(', '),
  ];
})"""


def open_page(page: Page, server: LiveServer, body: str, script: str = CARD) -> None:
    """A page of that server's origin with ``body`` and ``script``."""
    serve_at(page, server.url, script, body=f'<meta name="viewport" content="width=device-width">{body}')


def test_card_shows_what_its_attributes_say(server: LiveServer, page: Page) -> None:
    """Every status with its own word, line, bar and badges; nonsense is clamped or drawn as queued."""
    shown = {
        'status="queued" progress="40"': ["Queued", "Not started yet", "", ""],
        'status="running" progress="40" label="Reading" message="no"': ["Running", "Reading", "40 %", ""],
        'status="running" progress="900" chip="Waiting" paused attempt="2"': ["Waiting", "", "100 %", "Attempt 2"],
        'status="complete" message="Kept." cached reused tokens="1204"': [
            "Complete",
            "Kept.",
            "",
            "Reused, Cached, 1,204 tokens",
        ],
        'status="error" message="no answer" label="Reading" attempt="1"': ["Error", "no answer", "", ""],
        'status="error" cancelled tokens="0"': ["Cancelled", "", "", ""],
        'status="novel" progress="much"': ["Queued", "Not started yet", "", ""],
    }
    open_page(
        page,
        server,
        "".join(f'<agent-status-card agent-type="qa_consultant" {one}></agent-status-card>' for one in shown),
    )
    cards = page.locator("agent-status-card")
    expect(cards.first.locator(".card")).to_have_css("display", "grid")
    assert cards.evaluate_all(SAID) == list(shown.values())
    expect(page.get_by_role("group", name="QA consultant: Waiting")).to_have_count(1)
    bar = page.get_by_role("progressbar", name="Progress of QA consultant").first
    expect(bar).to_have_attribute("aria-valuetext", "40 percent, Reading")
    cards.nth(1).evaluate("card => { card.setAttribute('progress', '60'); card.setAttribute('name', 'Tester'); }")
    expect(page.get_by_role("progressbar", name="Progress of Tester")).to_have_attribute("aria-valuenow", "60")


def server_cards() -> str:
    """The cards of `STEPS` as the server renders them."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    environment.globals["url_for"] = lambda _, filename: f"/static/{filename}"
    card = environment.get_template("card.html").module.card  # type: ignore[attr-defined]
    return "".join(card(step, "QA consultant") for step in steps())


def steps() -> list[StepSnapshot]:
    """`STEPS` as a snapshot has them."""
    return [
        StepSnapshot(id=f"step-{at}", agent_type="qa_consultant", position=at, **step)
        for at, step in enumerate(STEPS)
    ]


TAKE_OVER = """async (steps) => {
  const withoutBlanks = (root) => {
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const blank = [];
    while (texts.nextNode()) if (texts.currentNode.data.trim() === '') blank.push(texts.currentNode);
    for (const text of blank) text.remove();
    return root;
  };
  const { cardAttributes } = await import('/static/step-look.js');
  const cards = [...document.querySelectorAll('agent-status-card')];
  const place = (card) => card.shadowRoot.querySelector('.card');
  const rendered = cards.map(place);
  const copies = rendered.map((card) => withoutBlanks(card.cloneNode(true)));
  const observer = new MutationObserver(() => {});
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  for (const one of rendered) observer.observe(one, everything);
  await import('/static/agent-status-card.js');
  const changes = observer.takeRecords().map(({ target }) => target.outerHTML);
  const made = steps.map((step) => {
    const card = document.createElement('agent-status-card');
    for (const [name, value] of Object.entries(cardAttributes(step, 'QA consultant'))) {
      if (value !== null) card.setAttribute(name, value);
    }
    document.body.append(card);
    return card;
  });
  const attributes = (card) => card.getAttributeNames().filter((name) => name !== 'data-step-id').sort()
    .map((name) => `${name}=${card.getAttribute(name)}`);
  return {
    changes,
    kept: cards.every((card, at) => place(card) === rendered[at]),
    different: made.filter((card, at) => !place(card).isEqualNode(copies[at])).map((card) => place(card).outerHTML),
    attributes: [cards.map(attributes), made.map(attributes)],
  };
}"""


def test_card_of_the_server_is_taken_over_untouched(server: LiveServer, page: Page) -> None:
    """The server's template, step-look.js and the element say the same in every state: nothing is drawn anew."""
    open_page(page, server, server_cards(), script="")
    told = page.evaluate(TAKE_OVER, msgspec.to_builtins(steps()))
    assert (told["changes"], told["different"], told["kept"]) == ([], [], True)
    assert told["attributes"][0] == told["attributes"][1]


OUTSIDE = """<style>
  agent-status-card::part(chip) { color: rgb(1, 2, 3); }
  agent-status-card::part(subtitle) { font-style: italic; }
  agent-status-card { --card-complete: rgb(4, 5, 6); --card-padding: 2px; }
</style>"""
LOOK = "(card, [part, property]) => getComputedStyle(card.shadowRoot.querySelector(`.${part}`))[property]"


def test_card_is_styled_from_outside(server: LiveServer, page: Page) -> None:
    """Parts by ::part, colours and measures by custom properties; nothing of the page's own gets in."""
    intruder = "<style>.card { display: inline } .chip { display: none }</style>"
    card = '<agent-status-card agent-type="qa" status="complete"></agent-status-card>'
    open_page(page, server, f"{OUTSIDE}{intruder}{card}")
    shown = page.locator("agent-status-card")
    expect(shown.locator(".card")).to_have_css("display", "grid")
    looks = {
        ("chip", "color"): "rgb(1, 2, 3)",
        ("subtitle", "fontStyle"): "italic",
        ("icon", "stroke"): "rgb(4, 5, 6)",
        ("card", "paddingTop"): "2px",
        ("chip", "display"): "block",
    }
    assert {look: shown.evaluate(LOOK, list(look)) for look in looks} == looks


def test_card_keeps_its_height_from_queued_to_complete(server: LiveServer, page: Page) -> None:
    """No state, label or badge moves what is below, on a telephone or on a wide screen."""
    long = "Reading a document with a name that is much longer than the room there is for it on any telephone"
    states = (
        'status="queued"',
        f'status="running" progress="7" label="{long}" attempt="1"',
        'status="running" progress="70" chip="Waiting" paused label="Answering" attempt="2"',
        'status="complete" progress="100" attempt="2" tokens="120400"',
        'status="complete" progress="100" message="Answered from the cache." cached',
        'status="error" cancelled message="not started"',
    )
    open_page(
        page, server, "".join(f'<agent-status-card name="QA consultant" {one}></agent-status-card>' for one in states)
    )
    cards = page.locator("agent-status-card")
    expect(cards.first.locator(".card")).to_have_css("display", "grid")
    for width in (900, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert len(set(cards.evaluate_all("cards => cards.map((card) => card.offsetHeight)"))) == 1
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    cards.nth(2).evaluate("(card, chip) => card.setAttribute('chip', chip)", "W" * 40)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    expect(cards.nth(2).locator(".name")).to_be_visible()
    expect(cards.nth(2).locator(".chip")).to_have_attribute("title", "W" * 40)
    expect(cards.nth(1).locator(".subtitle")).to_have_attribute("title", long)


def test_card_heeds_what_the_reader_asked_the_system_for(server: LiveServer, page: Page) -> None:
    """Less motion: nothing spins or slides. Forced colours: how far the bar is can still be seen."""
    page.emulate_media(reduced_motion="reduce", forced_colors="active")
    open_page(page, server, '<agent-status-card status="running" progress="40"></agent-status-card>')
    card = page.locator("agent-status-card")
    expect(card.locator(".icon")).to_have_css("animation-name", "none")
    expect(card.locator(".fill")).to_have_css("transition-property", "none")
    fill, rail = (card.evaluate(LOOK, [part, "fill"]) for part in ("fill", "rail"))
    assert fill != rail
