"""The JSON of the page and the terminal. Frozen: scripts of others may read it, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from adapters.web.markup.growing import folded_html, html_of
from bot.chats import Chat, ChatAnswer, ChatSummary, ChatTurn, GrowingAnswer
from bot.markdown.links import LinkPolicy
from bot.types import Personality

Json = dict[str, Any]
Form = Literal["html", "markdown"]

MAX_AT_ONCE = 40_000
"""Characters of answers that are made into HTML at once, beside the newest one."""

WRITTEN_BY_AI = "Answers are written by AI and may be wrong."


def summary(chat: ChatSummary) -> Json:
    return {
        "id": chat.id,
        "title": chat.title,
        "personality": chat.personality,
        "num_turns": chat.num_turns,
        "last_at": chat.last_at.isoformat(),
        "is_busy": chat.is_busy,
    }


def personality(each: Personality) -> Json:
    return {
        "name": each.name,
        "title": each.title,
        "description": each.description,
        "greeting": each.greeting,
        "suggested_questions": list(each.suggested_questions),
    }


def told(turn: ChatTurn) -> Iterable[str]:
    """The texts of the turn that are not the model's own."""
    yield turn.question
    yield from (answer.question for answer in turn.answers)
    yield from (text for each in turn.sources for text in (each.address, each.excerpt))
    yield from (text for _, text in turn.remarks)


class Shapes:
    """Texts as blocks of HTML, or as the Markdown that they are. Slow for long ones."""

    def __init__(self, form: Form, links: LinkPolicy) -> None:
        self._form = form
        self.links = links

    def knowing(self, more: Shapes) -> Shapes:
        """With what is known of other turns, too."""
        return Shapes(self._form, self.links.knowing(more.links))

    def chat(self, chat: Chat) -> Json:
        brief = self.brief(chat.turns)
        return {
            "chat": summary(chat.summary),
            "turns": [
                self.turn(turn, chat.window, is_brief=turn.id in brief) for turn in chat.turns
            ],
            "model": chat.model,
            "window": chat.window,
        }

    def brief(self, turns: Sequence[ChatTurn]) -> set[str]:
        """The ids of older turns, whose answers are read when somebody gets to them."""
        num, found = 0, set[str]()
        for turn in reversed(turns) if self._form == "html" else ():
            if num > MAX_AT_ONCE:
                found.add(turn.id)
            num += sum(
                len(each.reply) + len(each.reasoning)
                for each in turn.answers
                if each.number == turn.chosen
            )
        return found

    def turn(
        self,
        turn: ChatTurn,
        window: int,
        growing: Sequence[str] | None = None,
        *,
        is_brief: bool = False,
    ) -> Json:
        """At most the chosen answer comes with its texts. ``growing``: its blocks, if known."""
        told = None if is_brief else turn.chosen
        return {
            "id": turn.id,
            "number": turn.number,
            "question": turn.question,
            "asked_at": turn.asked_at.isoformat(),
            "files": list(turn.files),
            "sources": self._sources(turn),
            "chosen": turn.chosen,
            "answers": [
                self.answer(each, window) if each.number == told else _outline(each)
                for each in turn.answers
            ],
            "growing": self._growing(turn.growing, growing) if turn.growing else None,
        }

    def _sources(self, turn: ChatTurn) -> list[Json]:
        """What was read beside the files, each once; without an address that is to be no link."""
        gathered = [each for each in turn.sources if each.is_gathered]
        named = dict.fromkeys((each.kind, each.title, each.address) for each in gathered)
        return [
            {"kind": kind, "title": title, "address": address if self.links.knows(address) else ""}
            for kind, title, address in named
        ]

    def answer(self, answer: ChatAnswer, window: int) -> Json:
        finished_at = answer.finished_at
        return {
            **_outline(answer),
            "question": answer.question,
            "reason": answer.reason.value if answer.reason else None,
            "note": answer.note,
            "personality": answer.personality,
            "tokens": _tokens(answer),
            "tokens_per_second": _pace(answer),
            "window_used": _window_used(answer, window),
            "seconds": answer.total_seconds,
            "rating": answer.rating,
            "can_continue": answer.can_continue,
            "finished_at": finished_at.isoformat() if finished_at else None,
            **self._texts(answer.reply, answer.reasoning),
        }

    def _growing(self, growing: GrowingAnswer, blocks: Sequence[str] | None) -> Json:
        """Reasoning that grows is plain text in either form."""
        if self._form == "markdown":
            text: Json = {"reply": growing.reply}
        else:
            text = {"html": html_of(growing.reply, self.links) if blocks is None else [*blocks]}
        number = {"number": growing.number}
        return {**number, **stage(growing), **text, "reasoning": growing.reasoning}

    def _texts(self, reply: str, reasoning: str) -> Json:
        if self._form == "markdown":
            return {"reply": reply, "reasoning": reasoning}
        return {
            "html": html_of(reply, self.links),
            "reasoning_html": folded_html(reasoning, self.links),
        }


def stage(growing: GrowingAnswer) -> Json:
    """What is said of an answer on its way beside its text."""
    return {
        "stage": growing.stage,
        "place": growing.place,
        "wait": growing.wait,
        "doing": growing.doing,
        "model": growing.model,
        "personality": growing.personality,
    }


def _outline(answer: ChatAnswer) -> Json:
    return {"number": answer.number, "state": answer.state.value, "model": answer.model}


def _tokens(answer: ChatAnswer) -> Json:
    usage = answer.usage
    return {
        "prompt": usage.prompt_tokens,
        "cached": usage.cached_tokens,
        "completion": usage.completion_tokens,
    }


def _pace(answer: ChatAnswer) -> float | None:
    """Tokens a second from the first one on; None where that was not measured."""
    first, total = answer.first_token_seconds, answer.total_seconds
    num_after = answer.usage.completion_tokens - 1
    if first is None or total is None or total <= first or num_after < 1:
        return None
    return round(num_after / (total - first), 1)


def _window_used(answer: ChatAnswer, window: int) -> float | None:
    used = answer.usage.prompt_tokens + answer.usage.completion_tokens
    return round(min(1.0, used / window), 3) if window > 0 and used else None
