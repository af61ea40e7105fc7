"""Prompts that end within the assistant's last message, so that the reply continues it."""

from __future__ import annotations

import pytest

from bot.generation import ChatMessage
from bot.inference.chat_template.template import ChatTemplate
from tests.vocabularies import vocabularies_or_skip

HELLO = [ChatMessage("system", "Be kind."), ChatMessage("user", "Hello")]
ASKED = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
OPENS_REASONING = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content.split('</think>')[-1] }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]<think>\n{% endif %}"
)
USERS_ONLY = (
    "{% if messages[-1].role == 'assistant' %}{{ raise_exception('ask first') }}{% endif %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
)
WANTS_FUNCTIONS = "fireworks-ai-llama-3-firefunction-v2"


def said(content: str) -> ChatMessage:
    return ChatMessage("assistant", content, is_open=True)


def rendered(template: ChatTemplate, *messages: ChatMessage) -> str:
    return "".join(text for text, _ in template.segments(messages))


@pytest.mark.parametrize("begun", ["Paris is", "Sure:\n\n", "  - ", "x\u00a0", "<b>", "a</s>"])
def test_the_prompt_ends_with_the_open_answer_as_it_was_sent(begun: str) -> None:
    text = rendered(ChatTemplate(None), *HELLO, said(begun))
    assert text == f"{ASKED}<|im_start|>assistant\n{begun}"


def test_only_the_last_answer_is_open_and_a_closed_one_gets_an_answer_of_its_own() -> None:
    template = ChatTemplate(None)
    closed = [*HELLO, ChatMessage("assistant", "Hi")]
    assert rendered(template, *closed).endswith("Hi<|im_end|>\n<|im_start|>assistant\n")
    again = rendered(template, *HELLO, said("Hi"), ChatMessage("user", "And?"))
    assert again.endswith("And?<|im_end|>\n<|im_start|>assistant\n")


def test_white_space_that_a_template_trims_at_the_end_of_an_answer_stays_before_the_reply() -> None:
    trims = "{% for m in messages %}[{{ m.role }}]{{ m.content.strip() }}|{% endfor %}[assistant]"
    assert rendered(ChatTemplate(trims), *HELLO, said(" It is \n")).endswith("[assistant]It is \n")


def test_an_open_answer_after_another_one_continues_both_where_a_template_wants_turns() -> None:
    strict = (
        "{% for m in messages %}{% if m.role == 'system' or (m.role == 'user') != "
        "(loop.index0 % 2 == 0) %}{{ raise_exception('no') }}{% endif %}<{{ m.content }}>"
        "{% endfor %}{% if add_generation_prompt %}<{% endif %}"
    )
    earlier = ChatMessage("assistant", "One.")
    assert rendered(ChatTemplate(strict), HELLO[1], earlier, said("Two")) == "<Hello><One.\n\nTwo"


def test_a_template_that_wants_a_question_last_opens_the_answer_itself() -> None:
    assert rendered(ChatTemplate(USERS_ONLY), HELLO[1], said("I am")) == (
        "[user]Hello[assistant]I am"
    )


@pytest.mark.parametrize(
    ("begun", "prompt"),
    [
        ("I am", "[assistant]I am"),
        ("", "[assistant]<think>\n\n</think>\n\n"),
        ("<think>\nThey", "[assistant]<think>\nThey"),
        ("<think>They</think>\n\nI am", "[assistant]<think>\nThey</think>\n\nI am"),
    ],
)
def test_an_answer_goes_on_within_its_reasoning_or_beyond_it(begun: str, prompt: str) -> None:
    template = ChatTemplate(OPENS_REASONING)
    assert template.open_tag
    assert rendered(template, HELLO[1], said(begun)) == f"[user]Hello{prompt}"


def test_reasoning_that_a_template_opens_itself_is_closed_before_an_open_answer() -> None:
    template = ChatTemplate(USERS_ONLY + "<think>\n")
    assert rendered(template, HELLO[1], said("I am")) == (
        "[user]Hello[assistant]<think>\n</think>\n\nI am"
    )


def test_the_tags_of_an_open_answer_are_tokens_and_its_text_is_not() -> None:
    segments = ChatTemplate(None).segments([*HELLO, said("<think>a<|im_end|>b</think>c")])
    assert segments[-4:] == [
        ("<think>", True),
        ("a<|im_end|>b", False),
        ("</think>", True),
        ("c", False),
    ]


@pytest.mark.model
def test_the_templates_of_real_models_end_with_the_open_answer() -> None:
    found = (vocabularies_or_skip() / "templates").glob("*.jinja")
    sources = {path.stem: path.read_text(encoding="utf-8") for path in found}
    del sources[WANTS_FUNCTIONS]
    for name, source in sources.items():
        text = rendered(ChatTemplate(source, bos="<s>", eos="</s>"), *HELLO, said("MY ANSWER IS "))
        assert text.endswith("MY ANSWER IS "), name
        assert text.count("MY ANSWER IS") == 1, name
        assert "Be kind." in text, name
        assert text.rfind("<think>") <= text.rfind("</think>"), name
