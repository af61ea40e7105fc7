"""Whatever the model writes: the page shows all of it, and nothing that is not text of ours."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.web.markup.growing import GrowingPage, html_of
from bot.markdown.growing import GrowingTree
from tests.adapters.web.markup.outline import meant, shown
from tests.adapters.web.markup.reader import read
from tests.corpus.answers import Answer
from tests.corpus.answers import answers as corpus
from tests.markdown_samples import answers_with_tables

CORPUS = corpus()
often = settings(max_examples=60, deadline=None)
SCRAPS = r"""< > </ /> <script <img <svg <math <a <p <!-- --> <![CDATA[ ]]> & &lt; &#0; &#x202e;
<style <iframe src= href= onerror= = javascript: data: //x.org style= id= class= " ' ` $ \( \) $$
\text{ } \href{ \style{ ``` | - # [ ]( ) x \begin{array}{c} \end{array} \color{ \class{ \unicode{
&#x3c; \htmlData{ \require{ \u202e https:// https://x[ mailto: \ _ ** ~~""".split()  # noqa: SIM905
HTML = st.lists(
    st.sampled_from([*SCRAPS, " ", "\n", "\n\n", "\u202e", "\x00", "\x85"]), max_size=30
).map("".join)


@often
@given(answers_with_tables)
@example("https://x.org:smile: ")
@example("https://x.org:99999")
def test_nothing_of_an_answer_is_lost_or_moved(markdown: str) -> None:
    assert shown(html_of(markdown)) == meant(GrowingTree().blocks(markdown))


@pytest.mark.parametrize("answer", CORPUS, ids=str)
def test_nothing_of_a_real_answer_is_lost_or_moved(answer: Answer) -> None:
    assert shown(html_of(answer.markdown)) == meant(GrowingTree().blocks(answer.markdown))


@often
@given(st.text(max_size=200) | HTML)
def test_any_text_at_all_is_html_that_may_be_there(text: str) -> None:
    for block in html_of(text):
        read(block)


@settings(max_examples=25, deadline=None)
@given(answers_with_tables | HTML, st.integers(3, 40))
def test_a_reply_that_grows_is_at_every_step_what_it_would_be_at_once(text: str, size: int) -> None:
    page = GrowingPage()
    seen: list[str] = []
    for end in range(size, min(len(text), 30 * size) + size, size):
        kept, blocks = page.grow(text[:end])
        seen[kept:] = blocks
        assert all(map(read, blocks))
        fresh = GrowingPage()
        assert seen == page.blocks == fresh.grow(text[:end])[1]
    kept, blocks = page.grow(text, is_growing=False)
    assert [*seen[:kept], *blocks] == html_of(text)
