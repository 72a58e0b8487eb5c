"""The page for every eye, hand and width."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from project_page import ProjectPage
from staged_model import Stage

LONG = "The model at https://models.example.test/v1/chat/completions " + "unbreakable" * 20


@pytest.mark.parametrize("width", [360, 768, 1280, 2560])
def test_page_at_any_width_does_not_scroll_sideways(project_page: ProjectPage, stage: Stage, width: int) -> None:
    """Whatever an agent says, it wraps."""
    page = project_page.page
    page.set_viewport_size({"width": width, "height": 800})
    project_page.start("ba_consultant", "qa_consultant", "automation_consultant")
    stage.fail("ba_consultant", LONG)
    expect(project_page.banner).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_run_on_a_narrow_screen_comes_first(project_page: ProjectPage) -> None:
    """Who started a run on a telephone sees it without scrolling."""
    project_page.page.set_viewport_size({"width": 360, "height": 740})
    project_page.start("ba_consultant")
    expect(project_page.card("ba_consultant")).to_be_in_viewport()


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
    said = project_page.page.locator("#announcements")
    expect(said).to_contain_text("Business analyst: complete")
    expect(said).to_contain_text("QA consultant: running")
    expect(said).not_to_contain_text("50")


def test_motion_unwanted_stands_still(project_page: ProjectPage) -> None:
    """Nothing spins for those who asked for less motion."""
    project_page.page.emulate_media(reduced_motion="reduce")
    project_page.start("ba_consultant")
    card = project_page.expect_card("ba_consultant", "running")
    assert card.locator(".icon").evaluate("icon => getComputedStyle(icon).animationName") == "none"


CONTRASTS = """() => {
    const channel = (value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    };
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = (element) => {
        const [r, g, b, alpha = 1] = parse(getComputedStyle(element).backgroundColor);
        return alpha === 0 && element.parentElement ? ground(element.parentElement) : [r, g, b];
    };
    const low = [];
    for (const element of document.querySelectorAll('body *')) {
        const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!says || element.disabled || !element.checkVisibility({ visibilityProperty: true })) continue;
        if (element.closest('.unseen, .skip, option, script')) continue;
        const pair = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))].sort();
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (ratio < 4.5) low.push(`${element.outerHTML.slice(0, 120)} has ${ratio.toFixed(2)}`);
    }
    return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ending", [None, "failure", "success"])
def test_text_has_enough_contrast(project_page: ProjectPage, stage: Stage, scheme: str, ending: str | None) -> None:
    """4.5 to 1 or more (WCAG 2.2, AA) in both schemes and every state of a card."""
    page = project_page.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    project_page.start("ba_consultant", "qa_consultant")
    project_page.expect_card("ba_consultant", "running")
    if ending == "failure":
        stage.fail("ba_consultant", "no")
        expect(project_page.banner).to_be_visible()
    elif ending == "success":
        stage.finish("ba_consultant", "qa_consultant")
        expect(project_page.toast).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
