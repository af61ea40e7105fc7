"""Addresses in the answers of the corpus: links where they are known, code where they are not."""

from __future__ import annotations

import re

import pytest

from adapters.discord import markup as discord
from adapters.slack.mrkdwn import markup as slack
from adapters.teams import markup as teams
from bot.markdown.drawing import Drawing
from bot.markdown.links import LinkPolicy
from bot.markdown.parser import parse
from tests.corpus.answers import Answer, answers

_CODE = re.compile(r"(?s)(`{3,}).*?\1|(`+)[^`].*?\2|<code>.*?</code>|<pre>.*?</pre>")


@pytest.mark.parametrize("answer", answers(), ids=str)
def test_an_answer_whose_addresses_are_all_known_stays_as_it_is(answer: Answer) -> None:
    policy = LinkPolicy.of("known", [answer.markdown])
    assert [policy.shown(block) for block in parse(answer.markdown)] == [*parse(answer.markdown)]


@pytest.mark.parametrize("drawing", [slack.drawing, discord.drawing, teams.drawing])
def test_where_no_address_is_known_none_is_left_outside_of_code(drawing: Drawing) -> None:
    policy = LinkPolicy.of("none")
    for answer in answers():
        drawn = drawing.blocks([policy.shown(block) for block in parse(answer.markdown)])
        assert not re.search(r"://|mailto:|\bwww\.", _CODE.sub("", drawn)), answer
