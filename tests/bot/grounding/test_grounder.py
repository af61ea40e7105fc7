"""What is gathered for a question: pages it names, a source that is chosen, passages of facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from bot.citations import with_sources
from bot.generation import ChatMessage
from bot.grounding.choice import SourceChoice
from bot.grounding.fitting import gather_fitting
from bot.grounding.grounder import Gathered, Grounder, SourcesWanted
from bot.metrics import Metrics
from bot.reading.page import Page
from bot.source import KnownSource, Source
from bot.types import Personality
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.pages import NEWS, SEA, FakePages

SCHOOL = KnownSource("school", NEWS.address, "feed", "News of the school", ("school",))
PLAIN = Personality("p", "Lakeside", "You help.")
INFORMED = replace(PLAIN, sources=(SCHOOL,))
PASSAGE = Source("rules.md", "School begins at 8.", kind="fact", heading=("Day", "Be[gin]"))


class FakeFacts:
    def __init__(self, *found: Source) -> None:
        self.found = found
        self.asked: list[str] = []

    async def search(
        self, personality: Personality, question: str, tell: Callable[[str], None]
    ) -> Sequence[Source]:
        self.asked.append(question)
        return self.found


def wanted(text: str, personality: Personality = PLAIN, **more: object) -> SourcesWanted:
    asked = SourcesWanted(personality=personality, text=text, may_read=True)
    return replace(asked, **more)  # type: ignore[arg-type]


class Scene:
    """A grounder, and what it was heard to do."""

    def __init__(self, *facts: Source, chosen: str = "none") -> None:
        self.pages = FakePages(NEWS, SEA)
        self.facts = FakeFacts(*facts)
        self.generator = ScriptedGenerator()
        self.generator.replies.append(chosen)
        self.metrics = Metrics()
        choice = SourceChoice(self.generator, self.metrics)
        self.grounder = Grounder(self.metrics, self.pages, self.facts, choice)
        self.told: list[str] = []

    async def gather(self, asked: SourcesWanted) -> Gathered:
        assert self.grounder.wants(asked)
        return await self.grounder.gather(asked, self.told.append)

    def counted(self, kind: str, outcome: str) -> float | None:
        labels = {"kind": kind, "outcome": outcome}
        return self.metrics.registry.get_sample_value("parley_gathered_total", labels)


async def test_a_page_that_the_question_names_is_read() -> None:
    scene = Scene()
    gathered = await scene.gather(wanted(f"How deep? {SEA.address}"))
    sea = Source("The sea", SEA.text, kind="page", address=SEA.address)
    assert gathered == Gathered((sea,))
    assert scene.told == ["reading example.org"]
    assert scene.counted("page", "read") == 1
    assert scene.generator.generations == []


async def test_a_page_that_cannot_be_read_is_a_sentence_and_the_others_are_read() -> None:
    scene = Scene()
    gathered = await scene.gather(wanted(f"https://example.net/x or {SEA.address}?"))
    assert gathered.refusals == ("example.net has no page at this address.",)
    assert [each.address for each in gathered.sources] == [SEA.address]
    assert scene.counted("page", "refused") == 1


async def test_a_source_is_chosen_where_the_question_names_no_page() -> None:
    scene = Scene(chosen="school")
    gathered = await scene.gather(wanted("What is new?", INFORMED, may_read=False))
    assert gathered == Gathered(
        (Source("School news", NEWS.text, kind="feed", address=NEWS.address),)
    )
    assert scene.counted("feed", "read") == 1


async def test_nothing_is_read_where_nothing_is_chosen() -> None:
    scene = Scene()
    assert await scene.gather(wanted("Hello!", INFORMED)) == Gathered()
    assert scene.pages.asked == []


async def test_who_may_not_have_pages_read_is_told_and_the_own_sources_are_read() -> None:
    scene = Scene(chosen="school")
    asked = wanted(f"{SEA.address}?", INFORMED, may_read=False, why_not="Sign in.")
    gathered = await scene.gather(asked)
    assert gathered.refusals == ("Sign in.",)
    assert [each.address for each in gathered.sources] == [NEWS.address]
    silent = replace(asked, personality=PLAIN, why_not="")
    assert not scene.grounder.wants(silent)


async def test_a_fact_base_alone_is_always_searched() -> None:
    scene = Scene(PASSAGE)
    gathered = await scene.gather(wanted("When does it begin?", replace(PLAIN, facts="f")))
    assert gathered.sources == (replace(PASSAGE, heading=("Day", "Be(gin)")),)
    assert scene.facts.asked == ["When does it begin?"]
    assert scene.generator.generations == []
    assert scene.counted("fact", "found") == 1


@pytest.mark.parametrize(
    ("chosen", "answers", "is_searched"),
    [("facts", "free", True), ("none", "free", False), ("school", "quoted", True)],
)
async def test_a_fact_base_beside_sources_is_searched_if_it_is_chosen_or_quoted_from(
    chosen: str, answers: str, is_searched: bool
) -> None:
    scene = Scene(PASSAGE, chosen=chosen)
    both = replace(INFORMED, facts="f", answers=answers)  # type: ignore[arg-type]
    await scene.gather(wanted("When?", both))
    assert bool(scene.facts.asked) is is_searched


async def test_sites_limit_the_own_sources_and_nothing_else_is_searched() -> None:
    scene = Scene(PASSAGE, chosen="school")
    both = replace(INFORMED, facts="f")
    found = await scene.gather(wanted("What is new?", both, sites=("school.example",)))
    assert [each.address for each in found.sources] == [NEWS.address]
    nothing = await scene.gather(wanted("What is new?", both, sites=("canada.ca",)))
    assert nothing == Gathered(
        (), ("I search no web, and none of the sources of Lakeside is on canada.ca.",)
    )
    assert scene.facts.asked == []


async def test_all_excerpts_together_fit_and_what_is_cut_says_so() -> None:
    scene = Scene()
    long = Page("https://long.example/", "Long", "Some words. \n\n" * 2_000)
    scene.pages.pages[long.address] = long
    asked = wanted(f"{long.address} {SEA.address}", max_characters=600)
    cut, whole = (await scene.gather(asked)).sources
    assert (whole.excerpt, whole.is_cut) == (SEA.text, False)
    assert len(cut.excerpt) + len(whole.excerpt) <= 600 < len(long.text)
    assert cut.is_cut


async def test_what_is_gathered_fits_the_window_by_the_models_own_count() -> None:
    scene = Scene()
    words = Page("https://words.example/", "Words", "a " * 9_000)
    scene.pages.pages[words.address] = words
    generator = ScriptedGenerator(window=1_000)

    def asked(sources: Sequence[Source]) -> list[ChatMessage]:
        return [ChatMessage("user", with_sources("What?", sources))]

    want = wanted(f"What? {words.address}")
    gathered = await gather_fitting(
        scene.grounder, generator, want, asked, max_tokens=100, tell=scene.told.append
    )
    (source,) = gathered.sources
    assert source.is_cut
    assert 300 < await generator.count(asked(gathered.sources)) <= (1_000 - 100) // 2 + 5


async def test_a_page_whose_title_alone_fills_the_window_is_named_as_left_out() -> None:
    scene = Scene()
    titled = Page("https://words.example/", "Word " * 300, "The fair is on 3 May.")
    scene.pages.pages[titled.address] = titled
    gathered = await gather_fitting(
        scene.grounder,
        ScriptedGenerator(window=500),
        wanted(f"When? {titled.address}"),
        lambda sources: [ChatMessage("user", with_sources("When?", sources))],
        max_tokens=100,
        tell=scene.told.append,
    )
    assert gathered.sources == ()
    assert gathered.refusals[0].startswith("Not all that I read for this fits")


async def test_nothing_is_read_where_the_question_leaves_no_room() -> None:
    scene = Scene()
    long = "word " * 850
    gathered = await gather_fitting(
        scene.grounder,
        ScriptedGenerator(window=1_000),
        wanted(f"{long} {SEA.address}"),
        lambda sources: [ChatMessage("user", with_sources(long, sources))],
        max_tokens=100,
        tell=scene.told.append,
    )
    assert gathered.sources == ()
    assert gathered.refusals[0].startswith("There is no room left to read anything")
    assert scene.pages.asked == []
