"""A school's personality: its feed, a page that a question names, and its documents."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.adapters.http.csps_llm.page import Page
from tests.bot.reading.site import Site
from tests.ports import free_port
from tests.scenarios.asking import JSON, ask, body, metric, until_metric
from tests.scenarios.command import command
from tests.scenarios.parley import Parley, running_parley

pytestmark = pytest.mark.model

FEED = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>
<title>Lakeside news</title><link>https://lakeside.example/</link><description>News</description>
<item><title>The spring fair</title><link>https://lakeside.example/fair</link>
<description>The fair begins on 3 May at noon.</description></item></channel></rss>"""
ARTICLE = """<!doctype html><html lang="en"><head><title>Deep water</title></head><body>
<nav>Home | About</nav><main><article><h1>Deep water</h1>
<p>The deepest place of the sea is 10,935 metres below its surface, near the island of Guam.</p>
<p>Few people have been there, and nobody stayed for longer than a few hours at a time.</p>
</article></main></body></html>"""
PERSONALITY = """---
title: Lakeside
sampling: {{temperature: 0}}
sources:
  - name: school
    feed: {feed}
    about: "News of the Lakeside primary school: dates, events, lunch"
    triggers: [school]
---
You answer questions of parents.
"""
LIBRARY = """---
title: Library
sampling: {temperature: 0}
facts: library
---
You answer from documents.
"""


def folder_of(tmp_path: Path, site: Site) -> Path:
    folder = tmp_path / "personalities"
    (folder / "library").mkdir(parents=True)
    (folder / "assistant.md").write_text("---\ntitle: Assistant\n---\nYou help.\n")
    (folder / "lakeside.md").write_text(PERSONALITY.format(feed=site.url("/feed.xml")))
    (folder / "library.md").write_text(LIBRARY)
    rules = "# Rules\n\n## Loans\n\nA book is lent for twenty-one days.\n"
    (folder / "library" / "rules.md").write_text(rules)
    return folder


def sources(parley: Parley) -> list[dict[str, str]]:
    """Of the newest turn."""
    with closing(sqlite3.connect(parley.database)) as database:
        ((files,),) = database.execute("SELECT files FROM turns ORDER BY seq DESC LIMIT 1")
    return list(json.loads(files or "[]"))


async def gathered(parley: Parley, kind: str) -> float:
    return await metric(parley, "parley_gathered_total", kind=kind)


async def test_a_school_answers_from_its_feed_from_pages_and_from_its_library(
    tmp_path: Path,
) -> None:
    async with Site({"/feed.xml": FEED, "/deep": ARTICLE}) as site:
        settings = {
            "PARLEY_PERSONALITIES": str(folder_of(tmp_path, site)),
            "PARLEY_FETCH_ALLOW": site.host,
            "PARLEY_MAX_TOKENS": "24",
        }
        async with running_parley(tmp_path, free_port(), settings) as parley:
            await until_metric(parley, "parley_sources_refreshed_total", bool)
            await its_feed(parley)
            await a_page(parley, site)
            await its_library(parley)
            assert await parley.stop() == 0
            assert "Traceback" not in parley.output


async def its_feed(parley: Parley) -> None:
    """The model or its trigger word chooses it, without an address in the question."""
    async with Page(parley.url, "lakeside") as page:
        shown = await page.ask("What is new at the school?")
        assert shown.frames[0] == "reading 127.0.0.1…\n"
        assert len(shown.frames) > 1
        (feed,) = sources(parley)
        assert (feed["kind"], feed["name"]) == ("feed", "Lakeside news")
        assert "The fair begins on 3 May at noon." in feed["excerpt"]
        assert await metric(parley, "parley_source_choices_total") == 1
        before = await metric(parley, "parley_prompt_tokens_total", source="resumed")
        await page.ask("When does it begin?")
        after = await metric(parley, "parley_prompt_tokens_total", source="resumed")
        assert after > before + 60  # the feed's text is in the prefix


async def a_page(parley: Parley, site: Site) -> None:
    """A program that names a personality hears what is read; one that names a model does not."""
    question = f"How deep is the sea? {site.url('/deep')}"
    async with aiohttp.ClientSession(headers=JSON) as client:
        for model, num_read in (("smollm2", 0), ("assistant", 1)):
            data = body(question, model=model, stream=True)
            async with client.post(f"{parley.url}/v1/chat/completions", data=data) as answer:
                text = await answer.text()
            assert text.count(": reading 127.0.0.1") == num_read
            assert await gathered(parley, "page") == num_read
        toil = {"prompt": "How deep?", "text": site.url("/gone")}
        async with client.post(f"{parley.url}/toil/assistant", json=toil) as refused:
            assert refused.status == 400
            assert "has no page at this address" in (await refused.json())["error"]
    answered = await ask(parley, question, model="assistant")
    assert answered.num_prompt_tokens > 80


async def its_library(parley: Parley) -> None:
    await until_metric(parley, "parley_fact_passages", bool)
    answered = await ask(parley, "For how long is a book lent?", model="library")
    assert answered.num_prompt_tokens > 40
    assert await gathered(parley, "fact") >= 1


async def test_a_page_is_read_where_no_parley_runs(tmp_path: Path) -> None:
    async with Site({"/deep": ARTICLE}) as site:
        environ = {"PARLEY_FETCH_ALLOW": site.host, "PARLEY_MAX_TOKENS": "8"}
        asked = f"How deep is the sea? {site.url('/deep')}"
        result = await command(tmp_path, "ask", "--json", asked, environ=environ)
        assert result.code == 0, result.err
        assert json.loads(result.out)["usage"]["prompt_tokens"] > 80
        assert "/deep" in site.paths
