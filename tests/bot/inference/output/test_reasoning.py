"""Reasoning is separated from the answer."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ModelError
from bot.generation import Delta, Reasoning
from bot.inference.chat_template.template import ChatTemplate
from bot.inference.core.model import Tag
from bot.inference.output.text import TAGS, ReplyText, open_tag
from tests.vocabularies import vocabularies_or_skip

THINK = TAGS[0]
HARMONY = (
    "<|channel|>analysis<|message|>They greet me.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Hello!"
)
REPLIES = {
    "<think>They greet me.</think>Hello!": ("They greet me.", "Hello!"),
    "\n<think>\nThey greet me.</think>\n\nHello!": ("They greet me.", "Hello!"),
    "<thinking>They greet me.</thinking> Hello!": ("They greet me.", "Hello!"),
    "<seed:think>They greet me.</seed:think>Hello!": ("They greet me.", "Hello!"),
    "[THINK]They greet me.[/THINK]Hello!": ("They greet me.", "Hello!"),
    "<|START_THINKING|>They greet me.<|END_THINKING|>Hello!": ("They greet me.", "Hello!"),
    "<|channel>thought\nThey greet me.<channel|>Hello!": ("They greet me.", "Hello!"),
    HARMONY: ("They greet me.", "Hello!"),
    "<|channel|>final<|message|>Hello!": ("", "Hello!"),
    "<think>\n\n</think>\n\nHello!": ("", "Hello!"),
    "<think>1 < 2 and </b> </thin": ("1 < 2 and </b> </thin", ""),
    "<think>a</think>b <think>c</think>": ("a", "b <think>c</think>"),
    "Hello, <think>this</think> is a tag.": ("", "Hello, <think>this</think> is a tag."),
    "  <thanks>": ("", "  <thanks>"),
    "<thi": ("", "<thi"),
    "[1, 2]": ("", "[1, 2]"),
    "<think>": ("", ""),
    "<think>¿Qué? 🦜</think>¡Ça va! 🦜": ("¿Qué? 🦜", "¡Ça va! 🦜"),
    "": ("", ""),
}


def said(pieces: list[bytes], tag: Tag | None = None, stop: tuple[str, ...] = ()) -> list[str]:
    """Reasoning and answer; checks that no event is empty and none of reasoning comes last."""
    text = ReplyText(stop, tag)
    events = [event for piece in pieces for event in text.feed(piece)] + text.flush()
    assert all(isinstance(event, Delta | Reasoning) and event.text for event in events)
    kinds = [type(event) for event in events]
    assert kinds == sorted(kinds, key=(Reasoning, Delta).index)
    return ["".join(e.text for e in events if isinstance(e, kind)) for kind in (Reasoning, Delta)]


@pytest.mark.parametrize("reply", REPLIES)
def test_reasoning_and_answer_are_separated_however_the_reply_is_cut(reply: str) -> None:
    data = reply.encode()
    for size in (1, 2, 3, 5, 7, len(data) or 1):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert tuple(said(pieces)) == REPLIES[reply], f"in pieces of {size}"


@given(st.sampled_from(list(REPLIES)), st.lists(st.integers(0, 90)))
def test_no_cut_moves_a_letter_from_one_to_the_other(reply: str, cuts: list[int]) -> None:
    data, ends = reply.encode(), sorted(cuts)
    pieces = [data[a:b] for a, b in zip([0, *ends], [*ends, None], strict=True)]
    assert tuple(said(pieces)) == REPLIES[reply]


def test_a_prompt_that_ends_with_an_open_tag_begins_the_reply_inside() -> None:
    assert said([b"\nThey greet", b" me.</th", b"ink>\n\nHello!"], THINK) == [
        "They greet me.",
        "Hello!",
    ]


def test_reasoning_that_never_ends_leaves_no_answer() -> None:
    assert said([b"They greet me"], THINK) == ["They greet me", ""]


def test_a_stop_string_ends_the_answer_and_not_the_reasoning() -> None:
    pieces = [b"<think>END or not?</think>Well. E", b"ND of it"]
    assert said(pieces, stop=("END",)) == ["END or not?", "Well. "]


def test_tokens_of_the_reasoning_are_counted_with_their_tags() -> None:
    text = ReplyText()
    for piece in (b"<think>", b"They", b" greet", b"</think>", b"Hello", b"!"):
        text.feed(piece)
    assert text.num_reasoning_tokens == 4


@pytest.mark.parametrize(
    ("generation_prompt", "opens"),
    [
        ("<|im_start|>assistant\n<think>\n", b"<think>"),
        ("<assistant><think>", b"<think>"),
        ("<|START_THINKING|>", b"<|START_THINKING|>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", None),
        ("<|turn>model\n<|channel>thought\n<channel|>", None),
        ("<|start|>assistant", None),
        ("<|im_start|>assistant\n", None),
    ],
)
def test_the_template_says_whether_a_reply_begins_with_reasoning(
    generation_prompt: str, opens: bytes | None
) -> None:
    source = "{% for m in messages %}{{ m['content'] }}{% endfor %}" + generation_prompt
    tag = ChatTemplate(source).open_tag
    assert (tag.opens if tag else None) == opens


def test_text_from_a_person_opens_no_tag() -> None:
    template = ChatTemplate("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert template.open_tag is None
    assert open_tag("what does <think> mean?") is None


def test_an_open_tag_is_found_in_the_templates_of_the_models_that_have_one() -> None:
    paths = sorted((vocabularies_or_skip() / "templates").glob("*.jinja"))
    begin_inside = set()
    for path in paths:
        with suppress(ModelError):
            if ChatTemplate(path.read_text(encoding="utf-8")).open_tag:
                begin_inside.add(path.stem)
    assert begin_inside == {
        "Cohere2MoE",
        "GLM-4.7-Flash",
        "MiniMax-M2",
        "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
        "NVIDIA-Nemotron-Nano-v2",
        "Qwen3.5-4B",
        "Spark2.5",
        "StepFun3.5-Flash",
        "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
        "inclusionai-ling-3.0-flash",
        "llama-cpp-deepseek-r1",
        "poolside-Laguna-S-2.1",
    }


CONTINUED = [
    ("The sky", " is blue", ["", " is blue"]),
    ("The sky", "<think>a</think>b", ["", "<think>a</think>b"]),
    ("<think>They", " greet me.</think>\n\nHello!", [" greet me.", "Hello!"]),
    ("<think>They greet me.</think>", "\nHello!", ["", "\nHello!"]),
    ("", "<think>a</think>b", ["a", "b"]),
    ("\n", "  b", ["", "  b"]),
]


@pytest.mark.parametrize(("begun", "reply", "parts"), CONTINUED)
@pytest.mark.parametrize("tag", [None, THINK])
def test_a_reply_goes_on_where_the_text_that_it_continues_stands(
    begun: str, reply: str, parts: list[str], tag: Tag | None
) -> None:
    text = ReplyText((), tag, begun=begun)
    events = [event for byte in reply.encode() for event in text.feed(bytes([byte]))]
    events += text.flush()
    kinds = (Reasoning, Delta)
    assert ["".join(e.text for e in events if isinstance(e, kind)) for kind in kinds] == parts
