"""What a person who writes a personality sees: the bot speaks so, or one clear sentence."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import PersonalityError, UnknownPersonality
from bot.generation import Sampling
from bot.personality import PersonalityBook, PersonalityFault
from bot.sampling import SamplingFields
from bot.types import ExampleTurn, Personality
from tests.fakes.clock import START

HOUR = timedelta(hours=1)
SHIPPED = Path(__file__).parents[2] / "personalities"

FULL = """\
---
title: Pirate
description: Talks like a pirate.
language: no
greeting: Ahoy!
suggested_questions:
  - Where is the treasure?
  - "What is that: a whale?"
examples:
  - question: Who are you?
    answer: |
      Arr!
      Jack.
sampling:
  temperature: 0
  top_k: 20
  seed: 7
reasoning: folded
loop_guard: off
---

You are a pirate.

---
Say arr.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "assistant.md", "title: Assistant")
    return tmp_path


def write(path: Path, front: str, prompt: str = "You are helpful.") -> None:
    path.write_text(f"---\n{front}\n---\n{prompt}\n", encoding="utf-8")


def problems(folder: Path, default: str = "assistant") -> list[str]:
    with pytest.raises(PersonalityError) as caught:
        PersonalityBook.load(folder, default)
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def problem(folder: Path, front: str, prompt: str = "You are helpful.") -> str:
    """The only problem of a file with this front matter, which begins on line 2."""
    write(folder / "pirate.md", front, prompt)
    (found,) = problems(folder)
    return found


def refresh(book: PersonalityBook) -> str | None:
    return "\n".join(map(str, asyncio.run(book.refresh(START)))) or None


def touch(path: Path) -> None:
    """As if written a second later, however coarse the disk's times are."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))


def test_everything_a_file_says_is_in_the_personality(folder: Path) -> None:
    (folder / "pirate.md").write_text(FULL, encoding="utf-8")
    assert PersonalityBook.load(folder, "assistant").get("pirate") == Personality(
        name="pirate",
        title="Pirate",
        prompt="You are a pirate.\n\n---\nSay arr.",
        description="Talks like a pirate.",
        language="no",
        greeting="Ahoy!",
        suggested_questions=("Where is the treasure?", "What is that: a whale?"),
        examples=(ExampleTurn("Who are you?", "Arr!\nJack."),),
        sampling=Sampling(temperature=0.0, top_k=20, seed=7),
        reasoning="folded",
        loop_guard=False,
    )


def test_every_way_to_choose_the_next_token_can_be_a_personalitys_own(folder: Path) -> None:
    own = Sampling(
        temperature=0.9,
        top_k=7,
        top_p=0.8,
        min_p=0.1,
        repeat_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=-0.3,
        typical_p=0.9,
        xtc_probability=0.5,
        xtc_threshold=0.2,
        repeat_last_n=-1,
        dry_multiplier=0.8,
        dry_base=2.0,
        dry_allowed_length=3,
        dry_penalty_last_n=64,
        dry_sequence_breakers=("\n", "#"),
        mirostat=2,
        mirostat_tau=4.0,
        mirostat_eta=0.2,
        logit_bias=((17, -5.0), ("Arr", 2.5)),
        seed=5,
    )
    lines = "".join(f"\n  {name}: {json.dumps(value)}" for name, value in asdict(own).items())
    write(folder / "pirate.md", f"title: P\nsampling:{lines}")
    assert PersonalityBook.load(folder, "assistant").get("pirate").sampling == own


def test_a_personality_may_have_sources(folder: Path) -> None:
    feed = "{name: school, feed: https://a.b/x.xml, about: News, triggers: [school, lunch]}"
    write(
        folder / "parents.md", f"title: P\nsources:\n  - {feed}\n  - {{name: r, page: http://a.b}}"
    )
    school, rules = PersonalityBook.load(folder, "assistant").get("parents").sources
    assert (school.kind, school.address, school.about) == ("feed", "https://a.b/x.xml", "News")
    assert (school.triggers, rules.kind, rules.about) == (("school", "lunch"), "page", "")


def test_a_personality_may_have_a_strategy(folder: Path) -> None:
    write(folder / "router.md", "title: R\nstrategy: route\nremote: gpt-x\nshow_both: on")
    write(folder / "planner.md", "title: P\nstrategy: plan\nmax_steps: 4")
    book = PersonalityBook.load(folder, "assistant")
    router, planner = book.get("router"), book.get("planner")
    assert (router.strategy, router.remote, router.shows_both) == ("route", "gpt-x", True)
    assert (planner.strategy, planner.max_steps) == ("plan", 4)
    assert (book.default.strategy, book.default.max_steps) == ("direct", 8)


def test_a_title_and_a_prompt_are_enough(folder: Path) -> None:
    book = PersonalityBook.load(folder, "assistant")
    assert book.default == Personality("assistant", "Assistant", "You are helpful.")


def test_a_file_saved_on_windows_reads_the_same(folder: Path) -> None:
    (folder / "pirate.md").write_bytes(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode())
    prompt = PersonalityBook.load(folder, "assistant").get("pirate").prompt
    assert prompt == "You are a pirate.\n\n---\nSay arr."


def test_names_are_found_whatever_their_case_and_listed_in_order(folder: Path) -> None:
    write(folder / "tutor.md", "title: Tutor")
    book = PersonalityBook.load(folder, "Assistant")
    assert book.get(" TUTOR ").name == "tutor"
    assert book.names == ("assistant", "tutor")
    assert [each.title for each in book.all()] == ["Assistant", "Tutor"]


def test_an_unknown_name_is_answered_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(UnknownPersonality, match="no personality 'piratt'; known are assistant"):
        PersonalityBook.load(folder, "assistant").get("piratt")


@pytest.mark.parametrize(
    ("front", "sentence"),
    [
        ("titel: Pirate\ntitle: P", "2: there is no key titel; did you mean title?"),
        ("title: P\ntemprature: 1", "3: there is no key temprature; did you mean "
         "sampling.temperature?"),
        ("title: P\nsampling:\n  topp: 1", "4: there is no key sampling.topp; did you mean "
         "sampling.top_p?"),
        ("title: P\nTitle: Q", "3: there is no key Title; did you mean title?"),
        ("title: P\nlanguage: en\ntitle: Q", "4: title is here twice, first on line 2."),
        ("title: P\nsampling:\n  top_k: 1\n  top_k: 2", "5: top_k is here twice, first on line 4."),
        ("language: en", "1: title is missing."),
        ("", "1: title is missing."),
        ("title:", "2: title should not be empty."),
        ("title: [a]", "2: title should be text."),
        ("title: |\n  P\n  Q", "2: title should be one line, and is 'P\\nQ'."),
        ("title: P\nlanguage: English!", "3: language should be a language tag such as en or "
         "pt-BR, and is 'English!'."),
        ("title: P\nreasoning: maybe", "3: reasoning should be 'hidden', 'shown' or 'folded', "
         "and is 'maybe'."),
        ("title: P\nloop_guard: maybe", "3: loop_guard should be on or off."),
        ("title: P\nsampling: hot", "3: sampling should be lines of the form key: value."),
        ("title: P\nsuggested_questions: one", "3: suggested_questions should be a list, one line "
         "with - each."),
        ("title: P\nsuggested_questions:\n  - a\n  - [b]", "5: suggested_questions.1 should be "
         "text."),
        ("title: P\nexamples:\n  - question: Hi?", "4: examples.0.answer is missing."),
        ("title: P\nexamples:\n  - question: Hi?\n    answer: ''", "5: examples.0.answer should "
         "not be empty."),
        ("title: P\nexamples: Hi?", "3: examples should be a list, one line with - each."),
        ("title: P\nsampling:\n  temperature: 7", "4: sampling.temperature should be less than or "
         "equal to 2, and is '7'."),
        ("title: P\nsampling:\n  dry_multiplier: -1", "4: sampling.dry_multiplier should be "
         "greater than or equal to 0, and is '-1'."),
        ("title: P\nsampling:\n  min_p: 2", "4: sampling.min_p should be less than or "
         "equal to 1, and is '2'."),
        ("title: P\nsampling:\n  repeat_penalty: 0", "4: sampling.repeat_penalty should be "
         "greater than or equal to 0.01, and is '0'."),
        ("title: P\nsampling:\n  frequency_penalty: x", "4: sampling.frequency_penalty should be "
         "a valid number, unable to parse string as a number, and is 'x'."),
        ("title: P\nsampling:\n  dry_multipler: 1", "4: there is no key sampling.dry_multipler; "
         "did you mean sampling.dry_multiplier?"),
        ("title: P\nsampling:\n  temperature: nan", "4: sampling.temperature should be a finite "
         "number, and is 'nan'."),
        ("- title", "1: the front matter should be lines of the form key: value."),
        ("title: P: Q", "2: this is not YAML: mapping values are not allowed here "
         "(text with a colon or # in it needs quotes)."),
        ("title: &a P\ngreeting: *a", "3: this is not YAML: aliases are not read "
         "(text with a colon or # in it needs quotes)."),
        ("title: P\nsources:\n  - {name: none, page: https://a.b/}",
         "1: sources should each have a name of its own, not none or facts."),
        ("title: P\nsources:\n  - {name: x, page: https://a.b/}\n  - {name: x, feed: https://a.b/}",
         "1: sources should each have a name of its own, not none or facts."),
        ("title: P\nsources:\n  - {name: x, page: ftp://a.b/}",
         "4: sources.0.page should be an address such as https://example.org/news.xml, and is "
         "'ftp://a.b/'."),
        ("title: P\nstrategy: route", "1: strategy: route needs remote, the model to ask after a "
         "bad answer."),
        ("title: P\nremote: gpt-x", "1: remote has no effect without strategy: route."),
        ("title: P\nshow_both: on\nstrategy: plan", "1: show_both has no effect without "
         "strategy: route."),
        ("title: P\nmax_steps: 4", "1: max_steps has no effect without strategy: plan."),
        ("title: P\nstrategy: plan\nmax_steps: 1", "4: max_steps should be greater than or equal "
         "to 2, and is '1'."),
        ("title: P\nstrategy: both", "3: strategy should be 'direct', 'route' or 'plan', and is "
         "'both'."),
        ("title: P\ngreeting: \x07", "3: the character U+0007 is not allowed."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_file_and_line(
    folder: Path, front: str, sentence: str
) -> None:
    assert problem(folder, front) == f"pirate.md:{sentence}"


def test_a_personality_may_name_a_model_that_there_is(folder: Path) -> None:
    write(folder / "pirate.md", "title: P\nmodel: big")
    assert PersonalityBook.load(folder, "assistant").get("pirate").model == "big"
    book = PersonalityBook.load(folder, "assistant", lambda: ["small", "big"])
    assert book.get("pirate").model == "big"
    assert book.default.model is None
    with pytest.raises(PersonalityError, match=r"pirate.md:3: model should be one of a, b, .* and"):
        PersonalityBook.load(folder, "assistant", lambda: ["a", "b"])


@pytest.mark.parametrize(
    ("written", "name"), [("hf:a/b-GGUF:*Q8_0.gguf", "b-Q8_0"), ("qwen3-4b", "qwen3-4b")]
)
def test_a_personality_may_name_a_model_of_the_hub(folder: Path, written: str, name: str) -> None:
    write(folder / "pirate.md", f"title: P\nmodel: {written}")
    pirate = PersonalityBook.load(folder, "assistant", lambda: ["small"]).get("pirate")
    assert (pirate.model, pirate.model_source) == (name, written)


def test_a_model_of_the_hub_in_another_form_is_a_mistake_with_its_line(folder: Path) -> None:
    write(folder / "pirate.md", "title: P\nmodel: hf:big")
    with pytest.raises(PersonalityError, match=r"pirate.md:3: model must be hf:owner/.*'hf:big'"):
        PersonalityBook.load(folder, "assistant", lambda: ["small"])


def test_a_folder_of_facts_that_is_missing_is_a_mistake_until_it_is_there(folder: Path) -> None:
    write(folder / "pirate.md", "title: P\nfacts: charts")
    (found,) = problems(folder)
    missing = f"the folder of facts {folder}/charts is missing; make it, or name another."
    assert found == "pirate.md:3: " + missing.replace(f"{folder}/", "")
    (folder / "pirate.md").unlink()
    book = PersonalityBook.load(folder, "assistant")
    write(folder / "pirate.md", "title: P\nfacts: charts")
    assert missing in (refresh(book) or "")
    assert refresh(book) is None, "it is told once"
    (folder / "charts").mkdir()
    assert refresh(book) is None
    assert book.get("pirate").facts == "charts"


def test_a_model_that_comes_later_is_known_when_the_file_is_read_again(folder: Path) -> None:
    models = ["small"]
    book = PersonalityBook.load(folder, "assistant", lambda: models)
    write(folder / "pirate.md", "title: P\nmodel: big")
    assert "model should be one of small" in (refresh(book) or "")
    models.append("big")
    touch(folder / "pirate.md")
    assert refresh(book) is None
    assert book.get("pirate").model == "big"


def test_an_unrelated_key_is_answered_with_all_that_are_known(folder: Path) -> None:
    found = problem(folder, "title: P\nzzz: 1")
    assert found.startswith("pirate.md:3: there is no key zzz; known are answers, description,")


def test_a_prompt_must_be_there(folder: Path) -> None:
    assert problem(folder, "title: P", "  ") == "pirate.md:3: the system prompt below is missing."


def test_front_matter_must_be_there_and_end(folder: Path) -> None:
    (folder / "a.md").write_text("You are helpful.", encoding="utf-8")
    (folder / "b.md").write_text("---\ntitle: B\n", encoding="utf-8")
    assert problems(folder) == [
        "a.md:1: front matter is missing; begin with ---.",
        "b.md:1: the front matter has no end; close it with ---.",
    ]


def test_a_file_in_another_encoding_names_the_line(folder: Path) -> None:
    (folder / "pirate.md").write_bytes(
        "---\ntitle: Pirat\ngreeting: Grüß\n---\nHi".encode("cp1252")
    )
    assert problems(folder) == ["pirate.md:3: this is not UTF-8."]


@pytest.mark.parametrize("name", ["Pirate.md", "my pirate.md", "pirat_e.md", "pirate.MD", "é.md"])
def test_a_file_name_that_is_no_name_is_refused(folder: Path, name: str) -> None:
    write(folder / name, "title: Pirate")
    (found,) = problems(folder)
    assert found == f"{name}:1: the name of the file may hold a-z, 0-9 and - before .md only."


def test_two_personalities_of_one_title_are_refused(folder: Path) -> None:
    write(folder / "helper.md", "title: assistant")
    assert problems(folder) == [
        "helper.md:1: the title 'assistant' is the one of assistant.md, too."
    ]


def test_all_problems_of_a_folder_come_at_once(folder: Path) -> None:
    write(folder / "a.md", "sampling:\n  top_k: -2\nfoo: 1", "")
    (folder / "b.md").write_bytes(b"\xff")
    places = [found.split(" ")[0] for found in problems(folder)]
    assert places == ["a.md:1:", "a.md:3:", "a.md:4:", "a.md:5:", "b.md:1:"]


def test_hidden_files_folders_and_other_files_are_not_read(folder: Path) -> None:
    (folder / ".assistant.md.swp.md").write_text("?", encoding="utf-8")
    (folder / "notes.txt").write_text("?", encoding="utf-8")
    (folder / "old.md").mkdir()
    assert PersonalityBook.load(folder, "assistant").names == ("assistant",)


def test_a_missing_default_is_said_with_what_there_is(folder: Path) -> None:
    (found,) = problems(folder, default="pirate")
    assert found == f"{folder}: there is no personality 'pirate'; known: assistant."


def test_a_missing_folder_says_which_setting_to_change(tmp_path: Path) -> None:
    with pytest.raises(PersonalityError, match=r"No such file .* set PARLEY_PERSONALITIES"):
        PersonalityBook.load(tmp_path / "nowhere", "assistant")


def test_a_file_that_changes_is_read_again(folder: Path) -> None:
    book = PersonalityBook.load(folder, "assistant")
    write(folder / "assistant.md", "title: Assistant", "You are terse.")
    write(folder / "tutor.md", "title: Tutor")
    touch(folder / "assistant.md")
    assert refresh(book) is None
    assert book.default.prompt == "You are terse."
    assert book.names == ("assistant", "tutor")


def test_a_file_that_was_removed_is_gone(folder: Path) -> None:
    write(folder / "tutor.md", "title: Tutor")
    book = PersonalityBook.load(folder, "assistant")
    (folder / "tutor.md").unlink()
    assert refresh(book) is None
    assert book.names == ("assistant",)


def test_a_broken_file_keeps_the_old_set_and_is_said_once(folder: Path) -> None:
    book = PersonalityBook.load(folder, "assistant")
    write(folder / "assistant.md", "titel: Assistant")
    touch(folder / "assistant.md")
    assert "assistant.md:2: there is no key titel" in str(refresh(book))
    assert refresh(book) is None
    assert book.default.prompt == "You are helpful."

    write(folder / "assistant.md", "title: Assistant", "You are back.")
    assert refresh(book) is None
    assert book.default.prompt == "You are back."
    assert list(book.faults) == []


def test_faults_tell_file_line_sentence_and_since_when(folder: Path) -> None:
    write(folder / "tutor.md", "title: Tutor")
    book = PersonalityBook.load(folder, "assistant")
    assert list(book.faults) == []
    write(folder / "tutor.md", "title: Tutor\ntemprature: 1")
    (new,) = asyncio.run(book.refresh(START))
    sentence = "there is no key temprature; did you mean sampling.temperature?"
    assert new == PersonalityFault(folder / "tutor.md", 3, sentence, START)
    write(folder / "assistant.md", "title: A\nlanguage: English!")
    (newer,) = asyncio.run(book.refresh(START + HOUR))
    assert (newer.file.name, newer.line) == ("assistant.md", 3)
    assert {fault.file.name: fault.since for fault in book.faults} == {
        "tutor.md": START,
        "assistant.md": START + HOUR,
    }


def test_beside_a_broken_file_the_others_count(folder: Path) -> None:
    write(folder / "tutor.md", "title: Tutor", "You teach.")
    book = PersonalityBook.load(folder, "assistant")
    write(folder / "tutor.md", "titel: Tutor", "You teach badly.")
    write(folder / "assistant.md", "title: Assistant", "You are terse.")
    write(folder / "poet.md", "title: Poet")
    write(folder / "clown.md", "titel: Clown")
    assert "tutor.md:2" in str(refresh(book))
    assert book.names == ("assistant", "poet", "tutor")
    assert (book.default.prompt, book.get("tutor").prompt) == ("You are terse.", "You teach.")


def test_of_two_files_with_one_title_that_which_took_it_stays_as_it_was(folder: Path) -> None:
    write(folder / "tutor.md", "title: Tutor")
    book = PersonalityBook.load(folder, "assistant")
    write(folder / "assistant.md", "title: TUTOR", "You are new.")
    write(folder / "coach.md", "title: tutor")
    assert str(refresh(book)).replace(f"{folder}/", "").split("\n") == [
        "assistant.md:1: the title 'TUTOR' is the one of tutor.md, too.",
        "coach.md:1: the title 'tutor' is the one of tutor.md, too.",
    ]
    assert [each.title for each in book.all()] == ["Assistant", "Tutor"]


def test_a_title_that_a_broken_file_keeps_is_not_free(folder: Path) -> None:
    write(folder / "tutor.md", "title: Tutor")
    book = PersonalityBook.load(folder, "assistant")
    write(folder / "tutor.md", "title: Teacher\ntemprature: 1")
    write(folder / "assistant.md", "title: Tutor")
    assert len(str(refresh(book)).split("\n")) == 2
    assert [each.title for each in book.all()] == ["Assistant", "Tutor"]


def test_the_default_stays_though_its_file_is_gone(folder: Path) -> None:
    write(folder / "tutor.md", "title: Tutor")
    book = PersonalityBook.load(folder, "assistant")
    (folder / "assistant.md").unlink()
    assert refresh(book) == f"{folder}: there is no personality 'assistant'; known: tutor."
    assert book.default.prompt == "You are helpful."
    assert refresh(book) is None


def test_a_folder_that_vanishes_keeps_the_old_set(folder: Path) -> None:
    book = PersonalityBook.load(folder, "assistant")
    folder.rename(folder.with_name("moved"))
    assert "cannot be read" in str(refresh(book))
    assert refresh(book) is None
    assert book.names == ("assistant",)
    assert [fault.file for fault in book.faults] == [folder]
    folder.with_name("moved").rename(folder)
    assert refresh(book) is None
    assert list(book.faults) == []


def test_every_sampling_field_can_be_written() -> None:
    assert set(SamplingFields.model_fields) == {each.name for each in dataclasses.fields(Sampling)}


def test_the_personalities_we_ship_load_and_are_complete() -> None:
    book = PersonalityBook.load(SHIPPED, "assistant")
    assert book.names == ("assistant", "assistant-fr", "coder", "summariser", "translator", "tutor")
    for each in book.all():
        assert each.description, each.name
        assert each.greeting, each.name
        assert len(each.suggested_questions) == 3, each.name
        assert len(each.prompt.split()) < 75, f"{each.name} is too long for a small model"
    assert book.get("assistant-fr").language == "fr"
