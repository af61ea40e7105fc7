"""App Home: who answers here, how to ask, what is left for the person, what is kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.adapter_support.payloads import Json
from bot.types import Rendered, Standing

_MAX_DESCRIPTION = 500
"""However much is escaped in it, it fits into its block; Slack refuses the whole page else."""

_HOW = """\
- **In a channel** mention me with a question. Follow-ups in the thread need no mention.
- **Privately** write to me under *Messages*. Files may come along (text, code, CSV, PDF, DOCX).
- **Stop** an answer with its button, a stop sign as a reaction, or the word `stop`. \
A question that you edit is answered again.
- `/parley help`, or `help` after a mention, lists the rest."""


def home_view(found: Standing | str, render: Callable[[str], Rendered]) -> Json:
    """``found``: a sentence where Parley cannot answer this person, or not yet."""
    texts = [found] if isinstance(found, str) else _texts(found)
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": render(t)}} for t in texts]
    title = {"type": "header", "text": {"type": "plain_text", "text": "Parley"}}
    return {"type": "home", "blocks": [title, *blocks]}


def _texts(found: Standing) -> Iterator[str]:
    personality = found.personality
    what = (personality.description or personality.title).strip()
    what = what if len(what) <= _MAX_DESCRIPTION else f"{what[: _MAX_DESCRIPTION - 1]}…"
    yield f"**{personality.title}** answers you here: {what}\n\nModel: `{found.model}`"
    yield f"**How to ask**\n\n{_HOW}"
    yield f"**Left for you:** {found.left}"
    yield f"**What is kept:** {_kept(found.retention_days)}"


def _kept(days: float) -> str:
    span = f"for {days:g} {'day' if days == 1 else 'days'}, or " if days else ""
    return (
        "questions to me, what I read for them (files, earlier messages), my answers and votes on "
        f"them, on the machine where I run, {span}until `forget` in their thread deletes them. "
        "Nothing else that is said is kept."
    )
