"""``personalities import``: somebody who used csps-llm brings the personalities along."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cli.personalities import import_personalities
from bot.errors import ParleyError, PersonalityError
from bot.personality import PersonalityBook
from bot.types import ExampleTurn
from tests.bot.test_cli import parley

HELPER = {
    "imperative": "You help.\n---\nAlways: be kind #1.",
    "description": "Helps\nwith everything.",
    "intro_dialogue": [
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A helper: yes!\nReally."},
    ],
}


class Imports:
    """One run after the other, into one folder."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "personalities.d"
        self.target = folder / "personalities"
        self.source.mkdir()
        self.said: list[str] = []

    def write(self, name: str, content: object) -> None:
        (self.source / name).write_text(json.dumps(content), "utf-8")

    def run(self, *, replace: bool = False) -> list[str]:
        """What is said."""
        self.said = []
        import_personalities(
            [self.source], self.target, self.said.append, default="assistant", replace=replace
        )
        return [line.replace(f"{self.target}/", "") for line in self.said]

    def book(self, default: str = "helper") -> PersonalityBook:
        return PersonalityBook.load(self.target, default)


@pytest.fixture
def imports(tmp_path: Path) -> Imports:
    return Imports(tmp_path)


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("a", {"imperative": "Help.", "hf_repo": "x\ud800"}, "download the model from x\ufffd,"),
        ("a", {"imperative": "Help.", "rag\udfff": 1}, "a: rag\ufffd is left out;"),
        ("a", {"imperative": "Help.", "local_file": "b\n\x1b[31m"}, "PARLEY_MODEL=b [31m;"),
        ("b\nc\ud800", {}, "b c\ufffd: it has no imperative"),
        ("b\nc\ud800", 5, "b c\ufffd: this is no personality"),
    ],
)
def test_every_note_is_one_line_that_can_be_printed(
    imports: Imports, name: str, fields: object, said: str
) -> None:
    imports.write("1.json", {"helper": HELPER, name: fields})
    (note,) = [line for line in imports.run() if not line.startswith("Written")]
    assert said in note
    assert note.isprintable()


def test_a_personality_is_one_of_ours_afterwards(imports: Imports) -> None:
    imports.write("1.json", {"helper": HELPER})
    assert imports.run() == ["Written: helper.md"]
    helper = imports.book().get("helper")
    assert helper.prompt == HELPER["imperative"]
    assert helper.title == "Helper"
    assert helper.description == "Helps with everything."
    assert helper.examples == (ExampleTurn("Who are you?", "A helper: yes!\nReally."),)


def test_files_are_merged_deeply_in_the_order_of_their_names(imports: Imports) -> None:
    imports.write("2-site.json", {"helper": {"description": "Ours."}, "coder": HELPER})
    imports.write("1-base.json", {"helper": HELPER})
    imports.write("3-last.json", {"helper": {"imperative": "You are ours."}})
    imports.run()
    book = imports.book()
    assert book.names == ("coder", "helper")
    helper = book.get("helper")
    assert (helper.prompt, helper.description) == ("You are ours.", "Ours.")
    assert helper.examples


def test_a_file_may_be_one_personality(imports: Imports) -> None:
    imports.write("helper.json", HELPER)
    imports.run()
    assert imports.book().names == ("helper",)


@pytest.mark.parametrize(
    ("dialogue", "examples", "greeting"),
    [
        ([["Hi?", "Ho."]], [("Hi?", "Ho.")], ""),
        (["Hi?", "Ho.", "Hm?", "So."], [("Hi?", "Ho."), ("Hm?", "So.")], ""),
        ([{"user": "Hi?", "assistant": "Ho."}], [("Hi?", "Ho.")], ""),
        ([{"role": "assistant", "content": "Hello!"}], [], "Hello!"),
        (
            [
                {"role": "user", "content": "A?"},
                {"role": "user", "content": "B?"},
                {"role": "AI", "content": "C."},
            ],
            [("A?\n\nB?", "C.")],
            "",
        ),
        ([], [], ""),
    ],
)
def test_first_turns_come_in_several_forms(
    imports: Imports, dialogue: object, examples: list[tuple[str, str]], greeting: str
) -> None:
    imports.write("1.json", {"helper": {**HELPER, "intro_dialogue": dialogue}})
    imports.run()
    helper = imports.book().get("helper")
    assert [(each.question, each.answer) for each in helper.examples] == examples
    assert helper.greeting == greeting


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("context_window", 4096, "it counts for everybody: PARLEY_CONTEXT=4096."),
        ("flash_attention", True, "flash_attention is left out; Parley chooses it by itself."),
        ("hf_repo", "a/b", "download the model from a/b"),
        ("local_file", "/m/x.gguf", "for everybody it is PARLEY_MODEL=/m/x.gguf"),
        ("rag_length", 4096, "stands in its sources"),
        ("agent_rag_source", "f.txt", "a folder of facts does this"),
        ("voice_speed", 1, "Parley does not speak"),
        ("ui_colour", "x" * 100, "ui_colour is left out"),
        ("persona_name", "x", "no counterpart"),
        ("zzz", None, "zzz is left out; Parley knows no such key."),
        ("description", 3, "its description is no text"),
        ("intro_dialogue", "Hi!", "in a form that is not known"),
        ("intro_dialogue", [{"role": "system", "content": "x"}], "in a form that is not known"),
        ("intro_dialogue", ["Hi?"], "ends with a question that has no answer"),
        ("intro_dialogue", [{"role": "assistant", "content": "Hi!"}], "is the greeting here"),
    ],
)
def test_what_has_no_counterpart_is_said_in_one_line(
    imports: Imports, key: str, value: object, sentence: str
) -> None:
    imports.write("1.json", {"helper": {**HELPER, key: value}})
    _, note = imports.run()
    assert note.startswith("helper: ")
    assert sentence in note
    assert imports.book().get("helper").prompt


def test_a_name_that_is_none_here_is_changed_and_said(imports: Imports) -> None:
    imports.write("1.json", {"My_Helper": HELPER})
    written, note = imports.run()
    assert written == "Written: my-helper.md"
    assert note.endswith("PARLEY_MODEL_ALIASES=My_Helper=my-helper.")


def test_importing_again_changes_nothing(imports: Imports) -> None:
    imports.write("1.json", {"helper": HELPER})
    imports.run()
    before = (imports.target / "helper.md").stat().st_mtime_ns
    assert imports.run() == ["Unchanged: helper.md"]
    assert (imports.target / "helper.md").stat().st_mtime_ns == before


def test_nothing_is_overwritten_without_a_word(imports: Imports) -> None:
    imports.write("1.json", {"helper": HELPER})
    imports.run()
    mine = (imports.target / "helper.md").read_text().replace("be kind", "be brief")
    (imports.target / "helper.md").write_text(mine)
    imports.write("2.json", {"coder": HELPER})
    with pytest.raises(ParleyError, match=r"helper\.md in .* would be overwritten, so nothing was"):
        imports.run()
    assert imports.book().names == ("helper",)
    assert (imports.target / "helper.md").read_text() == mine
    assert imports.run(replace=True) == ["Written: helper.md", "Written: coder.md"]
    assert "be kind" in imports.book().get("helper").prompt


def test_a_folder_that_would_be_wrong_stays_as_it_is(imports: Imports) -> None:
    imports.target.mkdir()
    (imports.target / "other.md").write_text("---\ntitle: Helper\n---\nHi.\n")
    imports.write("1.json", {"helper": HELPER})
    with pytest.raises(PersonalityError, match="the title 'Helper' is the one of"):
        imports.run()
    assert imports.book("other").names == ("other",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "1.json:1: this is not JSON"),
        ("[]", "1.json holds no JSON object."),
        ("\xff", "1.json is not JSON in UTF-8."),
        ("{}", "There is no personality in this."),
        ('{"a": 1}', "There is no personality in this.\na: this is no personality"),
        ('{"a": {}}', "a: it has no imperative (a system prompt), and was left out."),
        ('{"a b": {"imperative": "x"}, "a-b": {"imperative": "y"}}', "would be named a-b."),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    imports: Imports, text: str, sentence: str
) -> None:
    (imports.source / "1.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(PersonalityError) as caught:
        imports.run()
    assert sentence in str(caught.value)
    assert not imports.target.exists()


def test_half_a_character_does_no_harm(imports: Imports) -> None:
    said = {
        "imperative": "A\ud800.",
        "description": "B\ud800\0.",
        "intro_dialogue": ["\ud800", "C."],
    }
    imports.write("1.json", {"helper": said})
    imports.run()
    helper = imports.book().get("helper")
    assert (helper.prompt, helper.description) == ("A\ufffd.", "B\ufffd.")
    assert helper.examples == (ExampleTurn("\ufffd", "C."),)


TEXT = st.text(st.characters(), max_size=5)
JSON = st.recursive(
    st.none() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["imperative", "intro_dialogue", "description", "x"]), JSON))
def test_whatever_stands_in_a_file_is_converted_or_said(fields: dict[str, object]) -> None:
    with TemporaryDirectory() as name:
        imports = Imports(Path(name))
        imports.write("1.json", {"a": {"imperative": "Hi.", **fields}, "b": HELPER})
        imports.run()
        assert "b" in imports.book("b").names
        assert ("a" in imports.book("b").names) is ("a: it has" not in "\n".join(imports.said))


async def test_on_the_command_line(tmp_path: Path) -> None:
    imports = Imports(tmp_path)
    imports.write("1.json", {"helper": {**HELPER, "voice": "x"}})
    ran = await parley(tmp_path, "personalities", "import", "personalities.d", "--to", "mine")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "Written: mine/helper.md\nhelper: voice is left out; Parley does not speak.\n"
