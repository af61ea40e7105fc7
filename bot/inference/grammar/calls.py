"""Grammars of replies that call tools: the choice of a tool first, then that tool's schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache

from llguidance import LLMatcher

from bot.answer_formats import AnswerFormat, Grammar, JsonObject, JsonSchema, Quoted, Regex
from bot.errors import UnsupportedFormat, UnsupportedOption
from bot.generation import ToolUse
from bot.inference.core.calls import CallGrammar, CallSyntax, Literal
from bot.inference.grammar.formats import checked, part_of_lark

_TERMINALS = (r"TEXT: /(.|\n)*/", r"BLANK: /[ \n]{0,2}/")
_NO_FORMAT = "This answer format is not supported beside tools; please send only one of the two."
_UNFOLLOWED = "The model cannot keep to it; please ask for fewer or shorter parts."


class CallMatcher:
    """Follows a ``CallGrammar`` as an ``LLMatcher`` follows one grammar."""

    def __init__(self, grammar: CallGrammar, matcher_of: Callable[[str], LLMatcher]) -> None:
        """``matcher_of`` gives a matcher at the beginning of a grammar."""
        self._matcher_of = matcher_of
        self._tools = dict(grammar.tools)
        self._current = matcher_of(grammar.first)

    def consume_tokens(self, sampled_tokens: list[int]) -> bool:
        return all(map(self.consume_token, sampled_tokens))

    def consume_token(self, sampled_token: int) -> bool:
        current = self._current
        if not current.consume_token(sampled_token):
            return False
        if current.is_stopped() and (name := current.get_capture("name")):
            self._current = self._matcher_of(self._tools[name.decode()])
        return True

    def validate_tokens(self, tokens: list[int]) -> int:
        return self._current.validate_tokens(tokens)

    def compute_ff_tokens(self) -> list[int]:
        return self._current.compute_ff_tokens()

    def compute_bitmask(self) -> bytes:
        return self._current.compute_bitmask()

    def is_stopped(self) -> bool:
        return self._current.is_stopped()

    def is_error(self) -> bool:
        return self._current.is_error()


def call_grammar(
    use: ToolUse,
    syntax: CallSyntax,
    answer_format: AnswerFormat | None,
    can_follow: Callable[[str], bool],
) -> CallGrammar:
    """Raises UnsupportedOption for a strict tool, UnsupportedFormat for the answer's format.

    Text beside calls is in that format.
    """
    first = _checked(first_lark(use, syntax, answer_format), can_follow)
    tools = {tool.name: tool for tool in use.tools if tool.name in use.callable}
    grammars = {}
    for name, tool in tools.items():
        try:
            arguments = JsonSchema(tool.parameters)
            grammars[name] = _checked(tool_lark(use, syntax, arguments), can_follow)
        except UnsupportedFormat as why:
            if tool.is_strict:
                raise _refused(name, str(why)) from None
            grammars[name] = _checked(tool_lark(use, syntax, JsonObject()), can_follow)
    return CallGrammar(first, tuple(grammars.items()))


def _refused(name: str, sentence: str) -> UnsupportedOption:
    about = re.sub(r"(?i)the answer format('s schema)?", "its parameters", sentence)
    about = about[:1].upper() + about[1:]
    return UnsupportedOption("tools", f"has {name!r} with a schema that is not followed. {about}")


@lru_cache(maxsize=256)
def _valid(lark: str) -> str:
    return checked(LLMatcher.grammar_from_lark(lark))


def _checked(lark: str, can_follow: Callable[[str], bool]) -> str:
    grammar = _valid(lark)
    if not can_follow(grammar):
        raise UnsupportedFormat(_UNFOLLOWED)
    return grammar


def first_lark(use: ToolUse, syntax: CallSyntax, answer_format: AnswerFormat | None) -> str:
    """The reply up to the arguments of its first call, or without one, in llguidance's Lark."""
    begins = _lark(syntax.begins)
    rules = [f"call: {_lark(syntax.opens)} {_chosen(syntax)}", _names(use), *_TERMINALS]
    if use.is_required:
        rules.append(f"body: BLANK {begins} call")
    elif answer_format is not None:
        if not begins or isinstance(answer_format, Grammar | Regex | Quoted):
            raise UnsupportedFormat(_NO_FORMAT)
        rules.append(f"body: {part_of_lark(answer_format)} | BLANK {begins} call")
    elif not begins:
        rules += ["body: OTHER | BLANK call", f"OTHER: {_other_than(syntax.opens)}"]
    else:
        rules += ["body: TEXT | begun call", *_after_text("begun", syntax.begins)]
    return "\n".join([*_thinking(use, syntax), *rules])


def tool_lark(use: ToolUse, syntax: CallSyntax, arguments: JsonSchema | JsonObject) -> str:
    """A call's arguments and what follows: the end, or all up to the next call's arguments."""
    end = _lark(syntax.closes) or '""'
    if use.is_parallel and syntax.next:
        end = f"{end} | {_lark(syntax.next)} {_chosen(syntax)}"
    _, gap = _parted(syntax.arguments)
    rules = [f"start: {_lark((gap,))} arguments end", f"end: {end}", _names(use)]
    return "\n".join([*rules, f"arguments: {part_of_lark(arguments)}"])


def _thinking(use: ToolUse, syntax: CallSyntax) -> list[str]:
    """The reasoning before the body; a prompt may have begun it."""
    if not syntax.thought:
        return ["start: body"]
    thinks = _lark(syntax.thinks)
    if thinks:
        start = f"start: body | {thinks} thought body"
    else:
        start = "start: thought body" if use.is_required else "start: TEXT | thought body"
    return [start, *_after_text("thought", syntax.thought)]


def _after_text(rule: str, literal: Literal) -> list[str]:
    """The first place in a text where this literal stands."""
    if isinstance(literal[0], int):
        return [f"{rule}: TEXT {_lark(literal)}"]
    return [f"{rule}[lazy]: TEXT {_lark(literal)}"]


def _other_than(literal: Literal) -> str:
    """A text that begins otherwise."""
    first = re.escape(str(literal[0])[0]).replace("/", r"\/")
    return rf"/[ \n]*([^ \n{first}](.|\n)*)?/"


def _names(use: ToolUse) -> str:
    return f"name[capture]: {' | '.join(map(json.dumps, sorted(use.callable)))}"


def _chosen(syntax: CallSyntax) -> str:
    return f"name {_lark(_parted(syntax.arguments)[0])}"


def _parted(literal: Literal) -> tuple[Literal, str]:
    """Without the white space at its end, and that, which is often one token with what follows."""
    *rest, last = literal
    if isinstance(last, int):
        return literal, ""
    return (*rest, last.rstrip()), last[len(last.rstrip()) :]


def _lark(literal: Literal) -> str:
    parts = (
        f"<[{p}]>" if isinstance(p, int) else json.dumps(p, ensure_ascii=False) for p in literal
    )
    return " ".join(part for part in parts if part != '""')
