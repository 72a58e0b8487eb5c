"""Answers of agents by the hash of what they were asked: kept for a time, and in bounded room."""

from __future__ import annotations

import asyncio

from store_material import Project, open_project

from orchestrator.cache import CacheLimits
from orchestrator.ports import AgentResult
from orchestrator.store.base import Session, later, now

LIMITS = CacheLimits()


def answer(content: str = "# Matrix\n", title: str = "Matrix", tokens: int = 0) -> AgentResult:
    """Something to be kept."""
    return AgentResult(
        title=title,
        artifact_type="coverage_matrix",
        content_type="text/markdown",
        content=content,
        tokens_used=tokens,
    )


async def kept(project: Project, limits: CacheLimits = LIMITS, keys: str = "abcdefgh") -> str:
    """Those of the keys under which there is an answer."""
    answers = project.store.answers
    return "".join([key for key in keys if await answers.find(project.tenant, key, limits)])


async def grow_older(project: Project, days: float) -> None:
    """Let so much time have passed since everything was kept."""

    async def move(session: Session) -> None:
        moment = later(await now(session), -days * 86_400)
        await session.execute("UPDATE {tenant}.answers SET created_at = :moment", moment=moment)

    await project.store._databases.write(project.tenant, move)


async def test_answer_is_found_under_its_key_only(project: Project) -> None:
    """What was kept comes back whole, but for its tokens; under no other key, and in no other tenant."""
    answers, other = project.store.answers, await open_project(project.store, "globex")
    await answers.keep(project.tenant, "a", answer("# é\n", tokens=70), LIMITS)
    assert await answers.find(project.tenant, "a", LIMITS) == answer("# é\n")
    assert await kept(project) == "a"
    assert await kept(other) == ""


async def test_answer_of_the_same_key_takes_the_place_of_the_older(project: Project) -> None:
    """Two that did the same work at once leave one answer, the later."""
    answers = project.store.answers
    await asyncio.gather(*(answers.keep(project.tenant, "a", answer("one"), LIMITS) for _ in range(4)))
    await answers.keep(project.tenant, "a", answer("two", title="New"), LIMITS)
    assert await answers.find(project.tenant, "a", LIMITS) == answer("two", title="New")


async def test_answer_that_is_too_old_is_not_found(project: Project) -> None:
    """By the database's clock, and by the days that hold when it is looked for."""
    await project.store.answers.keep(project.tenant, "a", answer(), LIMITS)
    await grow_older(project, 6.9)
    assert await kept(project) == "a"
    assert await kept(project, CacheLimits(days=6.8)) == ""
    await grow_older(project, 7.1)
    assert await kept(project) == ""


async def test_answers_that_are_too_old_are_dropped(project: Project) -> None:
    """By the chore, and by the next answer that is kept; with 0 days nothing is left."""
    answers, long = project.store.answers, CacheLimits(days=1000)
    await answers.keep(project.tenant, "a", answer(), LIMITS)
    await grow_older(project, 8)
    await answers.keep(project.tenant, "b", answer(), LIMITS)
    assert await kept(project, long) == "b"
    await grow_older(project, 8)
    await answers.drop_expired(project.tenant, 9)
    assert await kept(project, long) == "b"
    await answers.drop_expired(project.tenant, 7)
    assert await kept(project, long) == ""
    await answers.keep(project.tenant, "c", answer(), LIMITS)
    await answers.drop_expired(project.tenant, 0)
    assert await kept(project, long) == ""


async def test_oldest_answers_make_room_in_number(project: Project) -> None:
    """Of more answers than may be kept, the newest stay."""
    for key in "abcdef":
        await project.store.answers.keep(project.tenant, key, answer(), CacheLimits(count=4))
        await grow_older_by_a_moment(project)
    assert await kept(project) == "cdef"


async def test_oldest_answers_make_room_in_bytes(project: Project) -> None:
    """Their texts in UTF-8 count; one that is larger than all the room is not kept, and drives nothing out."""
    bare = sum(len(text) for text in ("Matrix", "coverage_matrix", "text/markdown"))
    limits = CacheLimits(size=3 * (bare + 20))
    for key in "abcd":
        await project.store.answers.keep(project.tenant, key, answer("é" * 10), limits)
        await grow_older_by_a_moment(project)
    assert await kept(project) == "bcd"
    await project.store.answers.keep(project.tenant, "e", answer("x" * 3 * (bare + 20)), limits)
    assert await kept(project) == "bcd"
    await project.store.answers.keep(project.tenant, "f", answer("x" * (20 + bare + 20)), limits)
    assert await kept(project) == "df"


async def test_answer_with_characters_that_no_database_keeps_is_kept_without(project: Project) -> None:
    """As in artifacts, U+FFFD stands for each of them."""
    await project.store.answers.keep(project.tenant, "a", answer("a\0b\ud800"), LIMITS)
    assert await project.store.answers.find(project.tenant, "a", LIMITS) == answer("a\ufffdb\ufffd")


async def test_answers_of_a_tenant_that_does_not_exist_are_none(project: Project) -> None:
    """Nothing is kept there, and nothing found."""
    await project.store.answers.keep("nobody", "a", answer(), LIMITS)
    await project.store.answers.drop_expired("nobody", 0)
    assert await project.store.answers.find("nobody", "a", LIMITS) is None


async def grow_older_by_a_moment(project: Project) -> None:
    """Let everything be older than what is kept next, however coarse the clock."""

    async def move(session: Session) -> None:
        for row in await session.fetch_all("SELECT key, created_at FROM {tenant}.answers"):
            before = later(row["created_at"], -1)
            await session.execute(
                "UPDATE {tenant}.answers SET created_at = :before WHERE key = :key", key=row["key"], before=before
            )

    await project.store._databases.write(project.tenant, move)
