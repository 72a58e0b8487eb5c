"""The page for every eye, hand and width."""

from __future__ import annotations

import pytest
from live_server import LiveServer
from playwright.sync_api import Page, Route, expect
from project_page import ALL, ProjectPage
from staged_model import Stage

LONG = "The model at https://models.example.test/v1/chat/completions " + "unbreakable" * 20
WIDTHS = (360, 768, 1280, 1920)


def test_page_at_any_width_does_not_scroll_sideways(project_page: ProjectPage, stage: Stage) -> None:
    """Whatever an agent says, it wraps; on a telephone the run comes first."""
    page = project_page.page
    page.set_viewport_size({"width": 360, "height": 740})
    project_page.start(*ALL)
    expect(project_page.card("ba_consultant")).to_be_in_viewport()
    stage.fail("ba_consultant", LONG)
    expect(project_page.banner).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert (width, page.evaluate("document.documentElement.scrollWidth - innerWidth")) == (width, 0)


def stay(page: Page) -> None:
    """A success leads nowhere else."""
    page.route("**/artifacts?run_id=*", lambda route: route.fulfill(status=204))


SHIFTS = """() => {
  globalThis.shifts = [];
  new PerformanceObserver((list) => {
    const moved = list.getEntries().flatMap(({ sources }) => sources);
    for (const { node, previousRect: { x, y }, currentRect: to } of moved) {
      if (node?.nodeType !== Node.ELEMENT_NODE || node.matches('.run-actions')) continue;
      shifts.push(`${node.outerHTML.slice(0, 60)} from ${x},${y} to ${to.x},${to.y}`);
    }
  }).observe({ type: 'layout-shift', buffered: true });
}"""
"""Elements that something else moved. Not: words that end at the same place and have become longer, and the box round
the actions, whose left edge nobody sees."""

SHIFTED = """() => new Promise((resolve) => {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(shifts))));
})"""
"""Those of all that has been changed so far: it is painted, and told of."""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("well", [True, False], ids=["completed", "failed"])
def test_run_moves_nothing_on_its_way_to_the_end(
    project_page: ProjectPage, stage: Stage, width: int, well: bool
) -> None:
    """From the first paint on: progress, labels, figures, connection words and endings have room of their own."""
    page = project_page.page
    page.set_viewport_size({"width": width, "height": 900})
    run_id = project_page.start("ba_consultant", "qa_consultant")
    page.add_init_script(f"({SHIFTS})()")
    project_page.open(run_id)
    expect(project_page.connection).to_have_text("Live")
    stay(page)
    stage.progress("ba_consultant", 50, "Reading " + "a document with a long name " * 5)
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "50")
    stage.finish("ba_consultant")
    if well:
        stage.finish("qa_consultant")
    else:
        stage.fail("qa_consultant", "no answer")
    expect(project_page.part("status")).to_have_text("Completed" if well else "Failed")
    assert page.evaluate(SHIFTED) == []


FRAMES = """() => {
  globalThis.frames = [];
  const look = () => {
    const card = document.querySelector('agent-status-card');
    if (card) frames.push(getComputedStyle(card.shadowRoot.querySelector('.card')).display);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def test_card_is_never_painted_without_its_style(project_page: ProjectPage) -> None:
    """However late its stylesheet comes: the first frame that has a card shows it as it is meant."""
    page = project_page.page
    run_id = project_page.start("ba_consultant")
    held: list[Route] = []
    page.route("**/agent-status-card.css", lambda route: held.append(route))  # noqa: PLW0108  # as Playwright wants it
    page.add_init_script(f"({FRAMES})()")
    with page.expect_request("**/agent-status-card.css"):
        page.goto(f"{project_page.url}/projects/{project_page.project_id}/runs/{run_id}", wait_until="commit")
    assert page.evaluate("frames") == []
    for route in held:
        route.continue_()
    page.unroute("**/agent-status-card.css")
    page.wait_for_function("() => frames.length > 2", polling=50)
    assert set(page.evaluate("frames")) == {"grid"}


REACHED = """() => {
  const { activeElement: element } = document;
  if (element === document.body) return null;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const { width, height } = (element.labels?.[0] ?? element).getBoundingClientRect();
  const inline = element.matches('p a, .facts a, .skip');
  return {
    what: element.outerHTML.slice(0, 80),
    seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
    large: inline || Math.min(width, height) >= 24,
  };
}"""


def test_whatever_the_keyboard_reaches_is_seen_and_large_enough(project_page: ProjectPage) -> None:
    """A ring round the focus everywhere, and no target below 24 pixels (WCAG 2.2, 2.4.7 and 2.5.8)."""
    page = project_page.page
    project_page.start("ba_consultant")
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.activeElement.blur()")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        if (one := page.evaluate(REACHED)) is None:
            break
        reached.append(one)
    assert [one["what"] for one in reached if not (one["seen"] and one["large"])] == []
    assert len(reached) > 10


def test_run_is_started_by_keyboard_and_gets_the_focus(project_page: ProjectPage) -> None:
    """No pointer is needed, and the focus goes where the news are."""
    page = project_page.page
    page.locator("input[value=automation_consultant]").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(project_page.cards).to_have_count(2)
    expect(page.locator("#run-title")).to_be_focused()


def test_changes_of_status_are_announced(project_page: ProjectPage, stage: Stage) -> None:
    """Who listens to the page hears what changes, but not each percent."""
    project_page.start("ba_consultant", "qa_consultant")
    stage.progress("ba_consultant", 50, "Reading")
    stage.finish("ba_consultant")
    expect(project_page.said).to_contain_text("Business analyst: complete")
    expect(project_page.said).to_contain_text("QA consultant: running")
    expect(project_page.said).not_to_contain_text("50")


CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const channel = (value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (element) => {
    const colour = parse(getComputedStyle(element).backgroundColor);
    const above = element.parentElement ?? element.getRootNode().host;
    return colour[3] === 0 && above ? ground(above) : colour;
  };
  const within = (root) => [...root.querySelectorAll('*')].flatMap((element) =>
    (element.shadowRoot ? [element, ...within(element.shadowRoot)] : [element]));
  const low = [];
  for (const element of within(document.body)) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!says || element.matches(':disabled, [aria-disabled=true]')) continue;
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    if (element.closest('.unseen, .skip, option, script, style, template')) continue;
    const pair = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) low.push(`${element.outerHTML.slice(0, 120)} has ${ratio.toFixed(2)}`);
  }
  return low;
}"""


def low_contrasts(page: Page) -> dict[str, list[str]]:
    """The texts with less than 4.5 to 1 (WCAG 2.2, AA), for each scheme that has any."""
    found = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if low := page.evaluate(CONTRASTS):
            found[scheme] = low
    return found


def test_text_has_enough_contrast_in_every_state(server: LiveServer, project_page: ProjectPage, stage: Stage) -> None:
    """As it is painted, cards and all: queued, running, failed, complete with a toast; sign-in, the reference."""
    page = project_page.page
    page.clock.install()
    project_page.open().start("ba_consultant", "qa_consultant")
    expect(project_page.expect_card("ba_consultant", "running")).to_be_visible()
    assert low_contrasts(page) == {}
    stage.fail("ba_consultant", "no")
    expect(project_page.banner).to_be_visible()
    assert low_contrasts(page) == {}
    project_page.start("ba_consultant")
    project_page.freeze_time()  # a success leads away, and a toast goes
    stage.finish("ba_consultant")
    expect(project_page.toast).to_be_visible()
    assert low_contrasts(page) == {}
    for path in ("/sign-in", "/docs"):
        page.goto(f"{server.url}{path}")
        assert (path, low_contrasts(page)) == (path, {})


def test_motion_unwanted_stands_still(project_page: ProjectPage) -> None:
    """Nothing spins, slides or pulses for those who asked for less motion."""
    page = project_page.page
    page.emulate_media(reduced_motion="reduce")
    project_page.start("ba_consultant")
    expect(project_page.expect_card("ba_consultant", "running")).to_be_visible()
    assert page.evaluate("document.getAnimations().map((one) => one.animationName ?? one.transitionProperty)") == []
