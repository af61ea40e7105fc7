"""Replies that call tools: whatever a model would say, every call is one that was meant."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from bot.answer_formats import AnswerFormat, JsonSchema, OneOf
from bot.errors import UnsupportedFormat, UnsupportedOption
from bot.generation import Tool, ToolUse
from bot.inference.chat_template.tools import HERMES
from bot.inference.core.calls import CallSyntax
from bot.inference.grammar.calls import CallMatcher, call_grammar
from bot.inference.grammar.constrained import allowed
from bot.inference.grammar.formats import LIMITS
from bot.inference.llama.files import load_vocabulary
from bot.inference.llama.grammars import Grammars
from bot.inference.llama.vocabulary import Vocabulary
from bot.inference.model_files import locate
from bot.inference.output.calls import CallPart, CallSplitter
from tests.bot.inference.grammar.schemas import Schema, schemas

END, MARK, THINK, THOUGHT = 256, 257, 258, 259
LLAMA = CallSyntax((), ('{"name": "',), ('", "parameters": ',), (), ("}",))
MISTRAL = CallSyntax((MARK,), (), ("[ARGS]",), (MARK,), ())
KIMI = CallSyntax(
    ("<calls>",), ("<call>functions.",), (":0<args>",), ("</call><call>functions.",), ("</call>",)
)
THINKING = CallSyntax(
    (MARK,), ("\n",), (": ",), (MARK, "\n"), (MARK,), thinks=(THINK,), thought=(THOUGHT,)
)
SYNTAXES = {"hermes": HERMES, "llama": LLAMA, "mistral": MISTRAL, "kimi": KIMI, "think": THINKING}


def tool(name: str, schema: dict[str, object], *, is_strict: bool = False) -> Tool:
    return Tool(name, "", json.dumps({"type": "object", **schema}), is_strict)


CITY = tool(
    "get_weather",
    {
        "properties": {
            "city": {"type": "string", "maxLength": 6, "pattern": '^[a-z"}{\\\\]*$'},
            "days": {
                "type": "array",
                "items": {"enum": [1, "}}\n</tool_call>", None]},
                "maxItems": 3,
            },
            "at": {"type": "object", "properties": {"x": {"type": "number", "maximum": 9}}},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
LOOK = tool("get", {"properties": {'é"': {"const": "\ud83d\ude00"}}, "required": ['é"']})
NOTHING = tool("now", {"properties": {}, "additionalProperties": False})
TOOLS = (CITY, LOOK, NOTHING)
BAD = tool("bad", {"not": {"required": ["x"]}})


def use(*tools: Tool, required: bool = False, parallel: bool = True) -> ToolUse:
    return ToolUse(tools, frozenset(tool.name for tool in tools), required, parallel)


class _Tokens:
    """Every byte is a token; so are four marks without a text."""

    eos_token_id = END
    bos_token_id = None
    special_token_ids = (END, MARK, THINK, THOUGHT)
    tokens: Sequence[bytes] = [
        *(bytes([n]) for n in range(256)),
        *(b"<end>", b"<mark>", b"<think>", b"</think>"),
    ]

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


@dataclass(frozen=True)
class Speaker:
    """Says what it is led to, and else what chance chooses of all that the grammar allows."""

    matcher_of: Callable[[str], LLMatcher]
    tokenize: Callable[[str], list[int]]
    piece: Callable[[int], bytes]
    is_end: Callable[[int], bool]

    def say(
        self,
        asked: ToolUse,
        syntax: CallSyntax,
        seed: int = 0,
        *,
        first: Sequence[int | str] = (),
        answer_format: AnswerFormat | None = None,
    ) -> Reply | None:
        """None if it has come to no end soon."""
        grammar = call_grammar(asked, syntax, answer_format, lambda _: True)
        matcher, chance = CallMatcher(grammar, self.matcher_of), Random(seed)  # noqa: S311
        reply = Reply(syntax, self.piece)
        for part in first:
            for token in [part] if isinstance(part, int) else self.tokenize(part):
                assert token in allowed(matcher), f"{part!r} is not allowed here"
                assert matcher.consume_token(token)
                reply.take(token)
        for _ in range(400):
            tokens: list[int] = allowed(matcher).tolist()
            assert tokens, "the grammar leads nowhere"
            ends = [token for token in tokens if self.is_end(token)]
            if ends and (chance.random() < 0.4 or len(ends) == len(tokens)):
                return reply
            token = self._choose([token for token in tokens if token not in ends], chance)
            assert matcher.consume_token(token)
            reply.take(token)
        return None

    def _choose(self, tokens: list[int], chance: Random) -> int:
        closing = [token for token in tokens if self.piece(token)[:1] in b'"}]']
        if closing and chance.random() < 0.5:
            return chance.choice(closing)
        return chance.choice(tokens)


class Reply:
    def __init__(self, syntax: CallSyntax, piece: Callable[[int], bytes]) -> None:
        self._splitter = CallSplitter(syntax)
        self._marks = syntax.marks()
        self._piece = piece
        self._parts: list[bytes | CallPart] = []
        self.tokens: list[int] = []

    def take(self, token: int) -> None:
        self.tokens.append(token)
        self._parts += self._splitter.feed(self._marks.get(token) or self._piece(token))

    @property
    def text(self) -> str:
        shown = b"".join(part for part in self._parts if isinstance(part, bytes))
        return (shown + self._splitter.flush()).decode()

    @property
    def calls(self) -> list[tuple[str, str]]:
        parts = [part for part in self._parts if isinstance(part, CallPart)]
        names = {part.index: part.name for part in parts if part.name}
        assert list(names) == sorted(names)
        return [
            (name, "".join(part.arguments for part in parts if part.index == index))
            for index, name in names.items()
        ]


def check(reply: Reply, tools: Sequence[Tool]) -> None:
    schemas = {tool.name: json.loads(tool.parameters) for tool in tools}
    for name, arguments in reply.calls:
        jsonschema.validate(json.loads(arguments), schemas[name])


@pytest.fixture(scope="module")
def letters() -> Speaker:
    tokenizer = LLTokenizer(TokenizerWrapper(_Tokens()))

    def matcher_of(grammar: str) -> LLMatcher:
        matcher = LLMatcher(tokenizer, grammar, log_level=0, limits=LIMITS)
        assert not matcher.is_error(), matcher.get_error()
        return matcher

    def piece(token: int) -> bytes:
        return bytes([token]) if token < END else b""

    return Speaker(matcher_of, lambda text: list(text.encode()), piece, lambda token: token == END)


def begin(syntax: CallSyntax) -> tuple[int | str, ...]:
    return (*syntax.begins, *syntax.opens)


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_whatever_the_model_would_say_its_calls_are_valid(
    letters: Speaker, syntax: CallSyntax
) -> None:
    said = [letters.say(use(*TOOLS), syntax, seed, first=begin(syntax)) for seed in range(40)]
    replies = [reply for reply in said if reply is not None]
    for reply in replies:
        check(reply, TOOLS)
        assert reply.calls
        assert reply.text == ""
    assert {name for reply in replies for name, _ in reply.calls} == {"get_weather", "get", "now"}
    assert max(len(reply.calls) for reply in replies) > 1 or not syntax.next


@settings(max_examples=40, deadline=None)
@given(schema=schemas, seed=st.integers(0, 2**32))
def test_whatever_the_schema_the_arguments_are_valid(
    letters: Speaker, schema: Schema, seed: int
) -> None:
    offered = (NOTHING, tool("it", schema))
    first = (*begin(HERMES), "it", *HERMES.arguments, "{")
    reply = letters.say(use(*offered, parallel=False), HERMES, seed, first=first)
    if reply is not None:  # else its texts have no end that is found by chance
        check(reply, offered)
        assert [name for name, _ in reply.calls] == ["it"]


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("required", [False, True])
def test_one_call_is_one_call(letters: Speaker, syntax: CallSyntax, required: bool) -> None:
    asked = use(NOTHING, required=required, parallel=False)
    for seed in range(5):
        reply = letters.say(asked, syntax, seed, first=begin(syntax))
        assert reply is not None
        assert reply.calls == [("now", "{}")]


@pytest.mark.parametrize("syntax", [HERMES, LLAMA, MISTRAL, KIMI])
def test_a_required_call_leaves_nothing_else_to_say(letters: Speaker, syntax: CallSyntax) -> None:
    for seed in range(5):
        reply = letters.say(use(NOTHING, required=True), syntax, seed)
        assert reply is not None
        assert reply.calls[0] == ("now", "{}")
        assert reply.text == ""


@pytest.mark.parametrize("syntax", [HERMES, MISTRAL, KIMI], ids=["hermes", "mistral", "kimi"])
def test_text_may_come_before_a_call_and_is_kept_apart(
    letters: Speaker, syntax: CallSyntax
) -> None:
    for said in ('Sure: <tool, [x] {"name": 日本', "", "A <calls", "<tool_cal"):
        first = (said, "\n", *begin(syntax))
        reply = letters.say(use(NOTHING, parallel=False), syntax, first=first)
        assert reply is not None
        assert (reply.text, reply.calls) == (said, [("now", "{}")])


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_an_answer_may_call_nothing(letters: Speaker, syntax: CallSyntax) -> None:
    said = 'It is 21 °C ("warm").\n\n```\n<b>\n```'
    seeds = range(20)
    replies = (letters.say(use(*TOOLS), syntax, seed, first=[said]) for seed in seeds)
    reply = next(reply for reply in replies if reply is not None)
    assert reply.text.startswith(said)
    assert reply.calls == []


def test_what_is_thought_is_no_call(letters: Speaker) -> None:
    """The reasoning is cut off before calls are looked for."""
    open_tag = CallSyntax((MARK,), ("\n",), (": ",), (), (), thought=(THOUGHT,))
    for syntax, opens in ((THINKING, [THINK]), (open_tag, [])):
        for required in (False, True):
            asked = use(NOTHING, required=required, parallel=False)
            first = [*opens, "I call <tool_call> now: 1", THOUGHT, "\n\n", *begin(syntax)]
            reply = letters.say(asked, syntax, first=first)
            assert reply is not None
            assert reply.calls == [("now", "{}")]
    with pytest.raises(AssertionError, match="not allowed"):
        letters.say(use(NOTHING), open_tag, first=[MARK])


def test_a_schema_that_is_not_followed_costs_its_tool_the_schema_and_the_others_nothing(
    letters: Speaker,
) -> None:
    tools = (CITY, BAD, tool("endless", {"$ref": "#"}), NOTHING)
    for name in ("bad", "endless"):
        first = (*begin(HERMES), name, *HERMES.arguments, '{"any": [1]}')
        reply = letters.say(use(*tools), HERMES, first=first)
        assert reply is not None
        assert reply.calls[0] == (name, '{"any": [1]}')
    said = [letters.say(use(*tools), HERMES, seed, first=begin(HERMES)) for seed in range(40)]
    replies = [reply for reply in said if reply is not None]
    for reply in replies:
        assert all(isinstance(json.loads(arguments), dict) for _, arguments in reply.calls)
        good = [call for call in reply.calls if call[0] in ("get_weather", "now")]
        for called, arguments in good:
            schema = next(t.parameters for t in tools if t.name == called)
            jsonschema.validate(json.loads(arguments), json.loads(schema))


def test_a_strict_tool_whose_schema_is_not_followed_is_refused_by_its_name() -> None:
    strict = tool("iban", {"properties": {"n": {"format": "iban"}}}, is_strict=True)
    with pytest.raises(UnsupportedOption) as caught:
        call_grammar(use(CITY, strict), HERMES, None, lambda _: True)
    assert caught.value.name == "tools"
    said = (
        "tools has 'iban' with a schema that is not followed. The format 'iban' at #/properties/n"
    )
    assert str(caught.value).startswith(said)
    assert "answer format" not in str(caught.value)
    call_grammar(use(CITY), HERMES, None, lambda _: True)
    only_told = ToolUse((CITY, strict), frozenset({"get_weather"}))
    call_grammar(only_told, HERMES, None, lambda _: True)


def test_only_tools_that_may_be_called_can_be_named(letters: Speaker) -> None:
    asked = ToolUse(TOOLS, frozenset({"get_weather"}))
    for name, is_callable in (("get_weather", True), ("now", False), ("get", False)):
        first = (*begin(HERMES), name, *HERMES.arguments)
        if is_callable:
            letters.say(asked, HERMES, first=first)
        else:
            with pytest.raises(AssertionError, match="not allowed"):
                letters.say(asked, HERMES, first=first)


@pytest.mark.parametrize("seed", range(6))
def test_beside_calls_an_answer_keeps_to_its_format(letters: Speaker, seed: int) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 22]}}, "required": ["n"]}
    in_json = JsonSchema(json.dumps(schema))
    for answer_format in (in_json, OneOf(("yes", "no"))):
        reply = letters.say(use(NOTHING), HERMES, seed, answer_format=answer_format)
        assert reply is not None
        if reply.calls:
            assert reply.text == ""
        elif answer_format is in_json:
            jsonschema.validate(json.loads(reply.text), schema)
        else:
            assert reply.text in ("yes", "no")
    called = letters.say(use(NOTHING), HERMES, first=begin(HERMES), answer_format=in_json)
    assert called is not None
    assert called.calls


def test_a_format_and_calls_that_look_alike_are_not_had_at_once() -> None:
    with pytest.raises(UnsupportedFormat, match="beside tools"):
        call_grammar(use(NOTHING), LLAMA, OneOf(("a",)), lambda _: True)


def test_a_reply_that_lost_its_place_goes_on_where_it_was(letters: Speaker) -> None:
    asked = use(*TOOLS)
    said = [letters.say(asked, HERMES, seed, first=begin(HERMES)) for seed in range(20)]
    grammar = call_grammar(asked, HERMES, None, lambda _: True)
    for reply in (reply for reply in said if reply is not None):
        again = CallMatcher(grammar, letters.matcher_of)
        for at in range(0, len(reply.tokens), 50):
            assert again.consume_tokens(reply.tokens[at : at + 50])
        assert END in allowed(again)
    assert not again.consume_tokens([ord("x")])
    assert again.is_error()


@pytest.mark.model
def test_over_a_real_vocabulary_whatever_the_model_would_say_its_calls_are_valid() -> None:
    vocabulary = Vocabulary(load_vocabulary(locate.locate("smollm2")))
    matcher_of = Grammars(vocabulary).matcher
    model = Speaker(matcher_of, vocabulary.tokenize, vocabulary.piece, vocabulary.is_end)
    names = set()
    for seed in range(40):
        first = ("Sure.\n", *begin(vocabulary.calls))
        reply = model.say(use(*TOOLS), vocabulary.calls, seed, first=first)
        if reply is not None:
            check(reply, TOOLS)
            assert reply.text == "Sure."
            names |= {name for name, _ in reply.calls}
    assert names == {"get_weather", "get", "now"}
