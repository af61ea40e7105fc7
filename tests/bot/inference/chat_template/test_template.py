from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.errors import ConversationRefused, ModelError
from bot.generation import ChatMessage
from bot.inference.chat_template.special_tokens import Special, SpecialTokens
from bot.inference.chat_template.template import ChatTemplate

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] | trim }}{% endfor %}[assistant]"
)
HELLO = [ChatMessage("system", "Be kind."), ChatMessage("user", "Hello")]


def rendered(template: ChatTemplate, messages: list[ChatMessage]) -> str:
    return "".join(text for text, _ in template.segments(messages))


def test_a_model_without_a_template_gets_chatml() -> None:
    assert rendered(ChatTemplate(None), HELLO) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_template_without_a_system_role_gets_it_in_the_first_question() -> None:
    template = ChatTemplate(NO_SYSTEM)
    assert rendered(template, HELLO) == "[user]Be kind.\n\nHello[assistant]"


def test_a_template_that_silently_drops_the_system_prompt_gets_it_in_the_first_question() -> None:
    drops = (
        "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['content'] }};"
        "{% endif %}{% endfor %}"
    )
    assert rendered(ChatTemplate(drops), HELLO) == "Be kind.\n\nHello;"


def test_messages_of_one_role_are_merged_where_a_template_wants_turns() -> None:
    strict = (
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}<{{ m['content'] }}>{% endfor %}"
    )
    said = [*HELLO, ChatMessage("user", "again"), ChatMessage("assistant", "Hi")]
    template = ChatTemplate(strict)
    assert rendered(template, said) == "<Be kind.\n\nHello\n\nagain><Hi>"
    assert rendered(template, said[3:]) == "<><Hi>", "a user has the first word"


def test_a_template_that_takes_messages_of_one_role_gets_them_as_they_are() -> None:
    assert "Hello<|im_end|>\n<|im_start|>user\nagain" in rendered(
        ChatTemplate(None), [*HELLO, ChatMessage("user", "again")]
    )


def test_earlier_reasoning_is_dropped_where_the_template_drops_it() -> None:
    drops = (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}"
        "{{ m['content'].split('</think>')[-1] }}{% else %}{{ m['content'] }}{% endif %};"
        "{% endfor %}"
    )
    said = [
        ChatMessage("user", "2+2?"),
        ChatMessage("assistant", "<think>Well.</think>\n4"),
        ChatMessage("user", "Is </think> a tag?"),
    ]
    assert rendered(ChatTemplate(drops), said) == "2+2?;4;Is </think> a tag?;"
    assert "<think>Well.</think>" in rendered(ChatTemplate(None), said)


def test_a_conversation_that_a_template_does_not_take_is_refused_in_one_sentence() -> None:
    shy = (
        "{% if messages | length > 4 %}{{ raise_exception('That is enough.') }}{% endif %}"
        "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    turns = [ChatMessage("user", "Hi"), ChatMessage("assistant", "Hi")] * 3
    with pytest.raises(ConversationRefused, match=r"conversation: That is enough\.$"):
        ChatTemplate(shy).segments(turns)


def test_text_from_people_is_separated_from_the_templates_own() -> None:
    segments = ChatTemplate(None).segments([ChatMessage("user", "<|im_end|>")])
    assert ("<|im_end|>", False) in segments
    assert ("<|im_end|>\n<|im_start|>assistant\n", True) in segments


def test_people_may_write_the_placeholders_themselves() -> None:
    assert "\ue0000\ue001" in rendered(ChatTemplate(None), [ChatMessage("user", "\ue0000\ue001")])


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "loop"),
        ("{% for a in range(9000) %}{{ 'x' * 1000 }}{% endfor %}", "without end"),
        ("{% if %}", "cannot be read"),
        ("hello", "leaves out what the user says"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 'x' * 10000000000 }}", "too large"),
        ("{{ 9 ** 9 ** 9 }}", "too large"),
        ("{{ 1 // 0 }}", "division"),
        ("{{ messages[7].content }}", "no element 7"),
        ("{{ raise_exception('Not\\nfor you.') }}", "(Not for you)"),
    ],
)
def test_a_hostile_or_broken_template_is_refused_in_one_sentence(source: str, word: str) -> None:
    with pytest.raises(ModelError) as refusal:
        ChatTemplate(source)
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


SPACED = [
    "    def f():\n        return 1",
    "\n\n\tfirst line",
    "last line\n\n",
    "  both  \n",
    "\r\n  x\u00a0",
    " ",
    "   \n",
    "",
    "\n" * 600 + "x" + " " * 600,
    "\x1fx\x1f",
    "\ue0000\ue001 ",
]


@pytest.mark.parametrize("text", SPACED)
def test_white_space_around_a_message_stays(text: str) -> None:
    said = [ChatMessage("user", text), ChatMessage("assistant", text), ChatMessage("user", text)]
    segments = ChatTemplate(None).segments(said)
    assert [each for each, from_template in segments if not from_template] == [text] * bool(
        text
    ) * 3
    assert "".join(each for each, _ in segments) == (
        f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n{text}<|im_end|>\n"
        f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("text", SPACED)
@pytest.mark.parametrize(
    ("trim", "trimmed"),
    [
        ("m['content'] | trim", str.strip),
        ("m['content'].strip()", str.strip),
        ("m['content'].lstrip()", str.lstrip),
    ],
)
def test_a_template_that_trims_decides_so(
    text: str, trim: str, trimmed: Callable[[str], str]
) -> None:
    template = ChatTemplate(f"{{% for m in messages %}}[u]\n{{{{ {trim} }}}}\n{{% endfor %}}[a]")
    assert rendered(template, [ChatMessage("user", text)]) == f"[u]\n{trimmed(text)}\n[a]"


def test_a_template_may_trim_line_ends_and_keep_the_indent() -> None:
    template = ChatTemplate("{% for m in messages %}[u]{{ m.content.strip('\n') }}{% endfor %}[a]")
    assert rendered(template, [ChatMessage("user", "\n    x\n")]) == "[u]    x[a]"


def test_merged_messages_keep_their_white_space() -> None:
    said = [ChatMessage("system", "Be kind.\n"), ChatMessage("user", "    x = 1\n")]
    drops = (
        "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }};{% endif %}{% endfor %}"
    )
    assert rendered(ChatTemplate(drops), said) == "Be kind.\n\n\n    x = 1\n;"


TOKENS = SpecialTokens(
    [
        Special(1, "<s>"),
        Special(2, "<end>", strips_right=True),
        Special(3, "<turn>", is_marker=True),
    ]
)


def test_only_the_templates_own_text_becomes_special_tokens() -> None:
    runs = TOKENS.split([("<s>user:", True), ("<s>hi", False), ("<end>", True)])
    assert runs == [1, "user:<s>hi", 2]


def test_a_marker_that_the_tokenizer_would_always_parse_is_cut_in_two() -> None:
    runs = TOKENS.split([("<turn>", True), ("a<turn>b", False)])
    assert runs[0] == 3
    assert "".join(str(r) for r in runs[1:]) == "a<turn>b"
    assert all("<turn>" not in str(r) for r in runs[1:])


def test_space_after_a_stripping_token_is_dropped_as_llama_cpp_does() -> None:
    assert TOKENS.split([("<end>\n  next", True)]) == [2, "next"]
