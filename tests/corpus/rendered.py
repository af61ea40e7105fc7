"""The messages that each platform shows for the answers of the corpus, and the page's HTML.

They are kept in ``messages/``, a file for each platform and language, so that a change of a
renderer is read as a difference of what people see. ``python -m tests.corpus`` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapters.discord import adapter as discord
from adapters.discord import markup as discord_markup
from adapters.slack import adapter as slack
from adapters.slack.mrkdwn import markup as slack_markup
from adapters.teams import adapter as teams
from adapters.teams import markup as teams_markup
from adapters.web.markup.growing import html_of
from bot.markdown.drawing import Drawing
from bot.markdown.layout import Layout
from tests.corpus.answers import answers

FOLDER = Path(__file__).parent / "messages"
NEXT = "\n=== the next message ===\n"

PLATFORMS: Mapping[str, tuple[Drawing, int]] = {
    "slack": (slack_markup.drawing, slack.LIMITS.max_size),
    "discord": (discord_markup.drawing, discord.LIMITS.max_size),
    "teams": (teams_markup.drawing, teams.LIMITS.max_size),
}

PAGE = "web"
"""Its messages are blocks of HTML, one a line."""


def languages() -> list[str]:
    return sorted({answer.language for answer in answers()})


def messages_of(platform: str, language: str) -> str:
    """Every answer of a language, each under its header, as the messages that it takes."""
    found = []
    for answer in answers():
        if answer.language == language:
            text = _shown(platform, answer.markdown)
            found.append(f"<<< {answer.number:02} {answer.slug} >>>\n{text}\n")
    return "\n".join(found)


def _shown(platform: str, markdown: str) -> str:
    if platform == PAGE:
        return "\n".join(html_of(markdown))
    return NEXT.join(Layout(*PLATFORMS[platform]).parts(markdown))
