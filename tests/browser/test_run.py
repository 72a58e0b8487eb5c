"""A run on the page: its cards as it goes, and what happens when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_server import LiveServer
from playwright.sync_api import BrowserContext, Page, Route, expect
from project_page import ALL, ARTIFACTS_URL, NAMES, RUN_URL, ProjectPage
from staged_model import Stage

RED, GREEN, BLUE = range(3)
GREYISH = 32
AGENTS = ("ba_consultant", "qa_consultant")


def test_start_chosen_agents_shows_one_queued_card_each(project_page: ProjectPage) -> None:
    """A queued card is a grey chip that says so, and has no progress bar."""
    project_page.start(*AGENTS)
    expect(project_page.cards).to_have_count(2)
    card = project_page.expect_card("qa_consultant", "queued")
    expect(card.locator(".chip")).to_have_text("Queued")
    expect(card.locator(".name")).to_have_text(NAMES["qa_consultant"])
    expect(card.get_by_role("progressbar")).to_be_hidden()


def test_start_without_agents_says_what_to_do_until_it_is_done(project_page: ProjectPage) -> None:
    """Nothing is asked of the server, and nothing followed."""
    for agent_type in ALL:
        project_page.page.locator(f"input[value={agent_type}]").uncheck()
    project_page.start_button.click()
    error = project_page.page.locator("#start-error")
    expect(error).to_have_text("Choose at least one agent.")
    expect(project_page.start_button).to_be_enabled()
    expect(project_page.page.locator("#run")).to_be_hidden()
    project_page.page.locator(f"input[value={ALL[0]}]").check()
    expect(error).to_be_hidden()


def test_running_step_shows_bar_at_percent_and_label(project_page: ProjectPage, stage: Stage) -> None:
    """A running card has a spinner, a bar at the step's percent, and what it does as subtitle."""
    project_page.start(*AGENTS)
    card = project_page.expect_card("ba_consultant", "running")
    expect(card.locator(".subtitle")).to_have_text("Agent ba_consultant is analyzing your project...")
    expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "0")
    stage.progress("ba_consultant", 40, "Read 2 of 5 documents")
    bar = card.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "40")
    expect(card.locator(".subtitle")).to_have_text("Read 2 of 5 documents")
    expect(bar.locator(".fill")).to_have_attribute("width", "40%")
    expect(card.locator(".icon")).not_to_have_css("animation-name", "none")


def test_complete_step_shows_complete_while_the_next_runs(project_page: ProjectPage, stage: Stage) -> None:
    """A complete card says so with a check mark, and has no bar."""
    project_page.start(*AGENTS)
    stage.finish("ba_consultant")
    card = project_page.expect_card("ba_consultant", "complete")
    expect(card.locator(".chip")).to_have_text("Complete")
    expect(card.locator(".icon")).to_be_visible()
    expect(card.get_by_role("progressbar")).to_be_hidden()
    project_page.expect_card("qa_consultant", "running")
    expect(project_page.part("done")).to_have_text("1 of 2 · 50 %")
    expect(project_page.part("overall")).to_have_attribute("aria-valuenow", "50")
    expect(project_page.part("timeline").locator("rect[data-outcome=completed]")).to_have_count(1)
    expect(project_page.part("timeline")).to_contain_text("Attempt 1 · 0:")
    said = project_page.said
    expect(said).to_contain_text("Business analyst: complete")
    expect(said).not_to_contain_text("%")


def test_start_side_by_side_shows_agents_running_at_once(project_page: ProjectPage, stage: Stage) -> None:
    """In a parallel run every card moves by itself."""
    project_page.start(*AGENTS, mode="parallel")
    cards = [project_page.expect_card(agent_type, "running") for agent_type in AGENTS]
    for agent_type, percent in zip(AGENTS, (70, 30), strict=True):
        stage.progress(agent_type, percent, "Reading")
    for card, percent in zip(cards, ("70", "30"), strict=True):
        expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", percent)
    stage.finish("qa_consultant")
    project_page.expect_card("qa_consultant", "complete")
    project_page.expect_card("ba_consultant", "running")
    stage.finish("ba_consultant")
    expect(project_page.page).to_have_url(ARTIFACTS_URL)


def test_card_of_each_status_has_its_colour(project_page: ProjectPage) -> None:
    """Queued is grey, running blue, complete green, error red: that channel is the strongest one of its icon."""
    page = project_page.page
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.evaluate(
        """statuses => statuses.forEach((status) => {
            const card = document.createElement('agent-status-card');
            card.setAttribute('status', status);
            document.body.append(card);
        })""",
        ["queued", "running", "complete", "error"],
    )
    icons = project_page.cards.locator(".icon")
    expect(icons).to_have_count(4)
    expect(icons.last).to_be_visible()
    strokes = icons.evaluate_all(
        "icons => icons.map((icon) => getComputedStyle(icon).stroke.match(/\\d+/g).map(Number))"
    )
    queued, *coloured = strokes
    assert max(queued) - min(queued) < GREYISH
    assert [(stroke.index(max(stroke)), max(stroke) - min(stroke) > GREYISH) for stroke in coloured] == [
        (BLUE, True),
        (GREEN, True),
        (RED, True),
    ]


def test_success_watched_toasts_then_shows_artifacts_after_a_moment(project_page: ProjectPage, stage: Stage) -> None:
    """The stream is closed first; after 1.5 s, and not before, the run's artifacts are shown."""
    page = project_page.page
    page.clock.install()
    with page.expect_websocket() as opened:
        project_page.open().start(*AGENTS)
    project_page.freeze_time()
    stage.finish(*AGENTS)
    expect(project_page.toast).to_be_visible()
    expect(project_page.connection).to_have_attribute("data-connection", "closed")
    expect(page.locator("#runs li .chip")).to_have_text("Completed")
    expect(page.locator("#runs [data-part=empty]")).to_be_hidden()
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")
    project_page.let_pass(1499)
    expect(page).to_have_url(RUN_URL)
    project_page.let_pass(1)
    expect(page).to_have_url(ARTIFACTS_URL)
    expect(page.get_by_role("link", name="Coverage matrix")).to_be_visible()


def test_failure_watched_shows_message_and_stays(project_page: ProjectPage, stage: Stage) -> None:
    """The card of the agent and the banner of the run say what was wrong; nobody is led away."""
    page = project_page.page
    page.clock.install()
    project_page.open().start(*AGENTS)
    project_page.freeze_time()
    stage.fail("ba_consultant", "The model <b>cannot</b> be reached.")
    card = project_page.expect_card("ba_consultant", "error")
    expect(card.locator(".subtitle")).to_have_text("The model <b>cannot</b> be reached.")
    expect(card.locator(".icon")).to_be_visible()
    other = project_page.expect_card("qa_consultant", "error")
    expect(other.locator(".subtitle")).to_have_text("not started: Business analyst failed")
    expect(project_page.banner).to_have_text("Business analyst failed: The model <b>cannot</b> be reached.")
    expect(project_page.connection).to_be_hidden()
    project_page.let_pass(10_000)
    expect(page).to_have_url(RUN_URL)
    expect(project_page.toast).to_have_count(0)


@pytest.mark.parametrize("ending", ["failure", "success"])
def test_run_started_after_an_ending_is_followed_without_reload(
    project_page: ProjectPage, stage: Stage, ending: str
) -> None:
    """Every ending leaves the page ready for the next run; what was told of it, or due, is not there any more."""
    page = project_page.page
    page.clock.install()
    project_page.open().start("ba_consultant")
    project_page.mark()
    project_page.freeze_time()
    if ending == "failure":
        stage.fail("ba_consultant", "no")
        expect(project_page.banner).to_be_visible()
    else:
        stage.finish("ba_consultant")
        expect(project_page.toast).to_be_visible()
    expect(project_page.start_button).to_be_enabled()

    said: list[str | None] = []

    def answer_late(route: Route) -> None:
        said.append(project_page.start_button.text_content())
        project_page.let_pass(2_000)
        route.continue_()

    page.route("**/agent-runs", answer_late)
    second = project_page.start("qa_consultant")
    assert said == ["Starting…"]
    expect(project_page.banner).to_be_hidden()
    expect(project_page.toast).to_have_count(0)
    project_page.let_pass(2_000)
    assert page.url.endswith(second)
    page.clock.resume()
    project_page.expect_card("qa_consultant", "running")
    expect(project_page.cards).to_have_count(1)
    project_page.expect_unreloaded()


def test_run_in_progress_is_not_started_twice(project_page: ProjectPage) -> None:
    """While a run is followed the button waits, so a double click starts one run."""
    project_page.start_button.dblclick()
    expect(project_page.connection).to_have_text("Live")
    expect(project_page.start_button).to_be_disabled()
    expect(project_page.page.locator("#runs li")).to_have_count(1)


@pytest.mark.parametrize("ending", ["failure", "success"])
def test_ended_run_opened_shows_how_it_ended_and_stays(project_page: ProjectPage, stage: Stage, ending: str) -> None:
    """Who did not watch it end is neither congratulated nor led away."""
    page = project_page.page
    run_id = project_page.start("ba_consultant")
    if ending == "failure":
        stage.fail("ba_consultant", "no")
        expect(project_page.banner).to_be_visible()
    else:
        stage.finish("ba_consultant")
        expect(page).to_have_url(ARTIFACTS_URL)
    page.clock.install()
    project_page.open(run_id)
    project_page.expect_card("ba_consultant", "complete" if ending == "success" else "error")
    project_page.freeze_time()
    project_page.let_pass(10_000)
    expect(page).to_have_url(RUN_URL)
    expect(project_page.toast).to_have_count(0)
    expect(project_page.connection).to_be_hidden()
    expect(project_page.start_button).to_be_enabled()


def test_run_reloaded_in_progress_goes_on_where_it_was(project_page: ProjectPage, stage: Stage) -> None:
    """A reload shows the run as it is, then follows it to its end."""
    project_page.start(*AGENTS)
    stage.progress("ba_consultant", 60, "Reading")
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "60")
    project_page.page.reload()
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "60")
    stage.finish(*AGENTS)
    expect(project_page.page).to_have_url(ARTIFACTS_URL)


def test_two_tabs_of_one_run_show_the_same(
    server: LiveServer, project_page: ProjectPage, context: BrowserContext, stage: Stage
) -> None:
    """Any number of viewers: who joins late sees what was, and both see what comes."""
    run_id = project_page.start(*AGENTS)
    stage.finish("ba_consultant")
    project_page.expect_card("ba_consultant", "complete")
    other = ProjectPage(context.new_page(), server.url, server.home.project_id).open(run_id)
    other.expect_card("ba_consultant", "complete")
    stage.progress("qa_consultant", 30, "Writing checks")
    for tab in (project_page, other):
        expect(tab.card("qa_consultant").locator(".subtitle")).to_have_text("Writing checks")
    stage.finish("qa_consultant")
    for tab in (project_page, other):
        expect(tab.page).to_have_url(ARTIFACTS_URL)


def test_back_from_a_run_leads_to_the_project_and_forward_to_the_run(project_page: ProjectPage) -> None:
    """A started run has an address of its own in the tab's history."""
    project_page.start("ba_consultant")
    project_page.mark()
    project_page.page.evaluate("location.hash = 'content'")
    expect(project_page.connection).to_have_text("Live")
    project_page.expect_unreloaded()
    project_page.page.go_back()
    project_page.page.go_back()
    expect(project_page.page.locator("#run")).to_be_hidden()
    expect(project_page.start_button).to_be_enabled()
    project_page.page.go_forward()
    project_page.expect_card("ba_consultant", "running")
    expect(project_page.connection).to_have_text("Live")


def test_run_unknown_opened_is_an_error_page(project_page: ProjectPage, provoked: None) -> None:
    """A run that is not there is said not to be there."""
    project_page.open("00000000-0000-4000-8000-000000000000")
    expect(project_page.page.get_by_role("heading")).to_have_text("There is no such run.")


def test_signed_out_meanwhile_start_and_upload_offer_sign_in(
    project_page: ProjectPage, page: Page, tmp_path: Path, provoked: None
) -> None:
    """Where the session is over, the way back in is one click away; two files do not say so twice."""
    files = [tmp_path / "one.md", tmp_path / "two.md"]
    for file in files:
        file.write_text("REQ-2: new")
    page.context.clear_cookies()
    project_page.start_button.click()
    expect(page.locator("#start-error")).to_have_text("You are no longer signed in. Sign in")
    expect(page.locator("#start-error").get_by_role("link", name="Sign in")).to_be_visible()
    page.get_by_label("Add documents").set_input_files(files)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#documents [role=alert]")).to_have_text("You are no longer signed in. Sign in")


def test_start_before_the_script_is_there_is_not_offered(project_page: ProjectPage, provoked: None) -> None:
    """A browser by itself would only load the page again."""
    project_page.page.route("**/page/project.js", lambda route: route.abort())
    project_page.open()
    expect(project_page.start_button).to_be_disabled()
