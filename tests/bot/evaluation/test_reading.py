"""A file of questions, as it is read; and every mistake with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.errors import StartError
from bot.evaluation.cases import AnswerCheck, EvalSampling, EvalSet, EvalTurn, Variant, narrowed
from bot.evaluation.reading import read_set
from bot.personality import PersonalityBook

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(ROOT.glob("personalities/evals/*.yaml"))
ONE = "title: One\ncases:\n  - name: a\n    question: Why?\n    checks:\n      - contains: so\n"


def read(folder: Path, text: str, **environ: str) -> EvalSet:
    (folder / "set.yaml").write_text(text, encoding="utf-8")
    return read_set(folder / "set.yaml", environ)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(StartError) as caught:
        read(folder, text)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def checked(folder: Path, line: str) -> AnswerCheck:
    return read(folder, ONE.replace("contains: so", line)).cases[0].turns[0].checks[0]


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        ("contains: no", "contains", ("no",)),
        ("contains: [Paris, 7]", "contains", ("Paris", "7")),
        ("not-contains: London", "not-contains", ("London",)),
        ("regex: '\\d+'", "regex", ("\\d+",)),
        ("is-json", "is-json", ()),
        ("is-json: on", "is-json", ()),
        ("equals: true", "equals", ("true",)),
        ("not-equals: Maybe.", "not-equals", ("Maybe.",)),
        ("one-of: [yes, no]", "one-of", ("yes", "no")),
        ("judge: It is polite.", "judge", ("It is polite.",)),
        ("quoted: {text: One word.}", "quoted", ("One word.",)),
        ("max-tokens: 20", "max-tokens", ("20",)),
        ("max-seconds: 1.5", "max-seconds", ("1.5",)),
    ],
)
def test_every_kind_of_check_is_read(
    tmp_path: Path, line: str, kind: str, expected: tuple[str, ...]
) -> None:
    found = checked(tmp_path, line)
    assert (found.kind, found.expected) == (kind, expected)


def test_a_schema_stands_in_the_file_with_its_numbers_or_beside_it(tmp_path: Path) -> None:
    schema = {"properties": {"n": {"minimum": 1, "enum": ["1", 2, None, True]}}}
    inside = "schema: {properties: {n: {minimum: 1, enum: ['1', 2, null, true]}}}"
    (tmp_path / "s.json").write_text(json.dumps(schema))
    for line in (inside, "schema: s.json"):
        assert json.loads(checked(tmp_path, line).expected[0]) == schema


def test_what_may_be_quoted_stands_in_files_beside_the_set(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text("Rule one.")
    assert checked(tmp_path, "quoted: rules.txt").expected == ("Rule one.",)
    assert checked(tmp_path, "quoted: [rules.txt, {text: Two.}]").expected == ("Rule one.", "Two.")
    (tmp_path / "facts" / "more").mkdir(parents=True)
    (tmp_path / "facts" / "more" / "three.md").write_text("Three.")
    (tmp_path / "facts" / "picture.png").write_bytes(b"\xff")
    assert checked(tmp_path, "quoted: facts").expected == ("Three.",)


def test_a_thread_has_turns_that_are_asked_and_answers_that_are_given(tmp_path: Path) -> None:
    asked = read(
        tmp_path,
        "title: T\ntemperature: 0\nseed: 7\nrepeat: 3\nmax-tokens: 9\njudge: qwen3-4b\n"
        "personalities: [assistant, coder]\ncases:\n  - name: thread\n    personality: tutor\n"
        "    turns:\n      - question: One?\n        answer: '1'\n      - question: Two?\n"
        "        checks: [contains: two]\n",
    )
    assert asked.sampling == EvalSampling(0.0, 7, 9)
    assert (asked.repeat, asked.judge) == (3, "qwen3-4b")
    assert asked.cases[0].turns == (
        EvalTurn("One?", "1"),
        EvalTurn("Two?", None, (AnswerCheck("contains", ("two",)),)),
    )
    assert [(str(v), c.name) for v, c in asked.asked("assistant")] == [("tutor", "thread")]


def test_every_case_is_asked_of_every_model_and_server_those_of_one_together(
    tmp_path: Path,
) -> None:
    asked = read(
        tmp_path,
        ONE + "models: [m1, m2]\npersonalities: [assistant, coder]\nengines:\n"
        "  - {name: gpu, url: 'http://gpu1:8000/v1', model: big, key-from: GPU_KEY}\n",
        GPU_KEY="secret",
    )
    assert [variant for variant, _ in asked.asked("tutor")] == [
        Variant(model=model, personality=personality, engine=engine)
        for engine, model in (("", "m1"), ("", "m2"), ("gpu", "big"))
        for personality in ("assistant", "coder")
    ]
    assert asked.engine("gpu").key == "secret"
    assert "secret" not in repr(asked)


def test_one_personality_alone_is_asked_what_is_for_it_and_for_all(tmp_path: Path) -> None:
    more = "  - {name: b, personality: [coder, tutor], question: B, checks: [contains: b]}\n"
    cases = read(tmp_path, ONE + more).cases
    assert [(c.name, c.personalities) for c in narrowed(cases, ["tutor"])] == [
        ("a", ("tutor",)),
        ("b", ("tutor",)),
    ]
    assert [case.name for case in narrowed(cases, ["assistant"])] == ["a"]


def test_a_case_is_another_one_once_it_asks_or_checks_something_else(tmp_path: Path) -> None:
    first = read(tmp_path, ONE).cases[0]
    same = ONE + "      - max-tokens: 5\n"
    assert read(tmp_path, same).cases[0].fingerprint == first.fingerprint
    for other in (ONE.replace("Why", "How"), ONE.replace("so", "thus")):
        assert read(tmp_path, other).cases[0].fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[" * 5_000, "set.yaml:1: it is nested too deeply"),
        ("title: [a\n", "set.yaml:2: this is not YAML: "),
        ("title: One\n", "set.yaml:1: cases is missing."),
        (ONE + "modles: [a]\n", "set.yaml:7: there is no key modles; did you mean models?"),
        (
            ONE.replace("contains", "contain"),
            "set.yaml:6: there is no key cases.0.checks.0.contain; did you mean contains?",
        ),
        (ONE.replace("contains: so", "regex: '('"), "set.yaml:6: cases.0.checks.0.regex should be"),
        (ONE.replace("contains: so", "is-json: off"), "set.yaml:6: cases.0.checks.0.is-json shoul"),
        (ONE.replace("contains: so", "schema: {type: 7}"), "set.yaml:6: cases.0.checks.0.schema s"),
        (ONE.replace("contains: so", "schema: s.json"), "set.yaml:6: s.json cannot be read: No su"),
        (ONE.replace("contains: so", "quoted: x.txt"), "set.yaml:6: x.txt cannot be read: No such"),
        (ONE.replace("contains: so", "{equals: a, regex: b}"), "set.yaml:6: cases.0.checks.0 shou"),
        (ONE.replace("contains: so", "max-tokens: 0"), "set.yaml:6: cases.0.checks.0.max-tokens s"),
        (ONE.replace("    question: Why?\n", ""), "set.yaml:3: cases.0 should have either questio"),
        (ONE[: ONE.index("    checks")], "set.yaml:3: cases.0 should have checks, one line with"),
        (ONE + ONE[ONE.index("  - name") :], "set.yaml:7: the name 'a' is that of another one, to"),
        (ONE + "title: Two\n", "set.yaml:7: title is here twice, first on line 1."),
        (ONE + "temperature: 3\n", "set.yaml:7: temperature should be less than or equal to 2"),
        (ONE + "repeat: *x\n", "set.yaml:7: this is not YAML: aliases are not read"),
        (
            ONE + "engines:\n  - {name: e, url: 'http://e/v1', key-from: NOT_SET_ANYWHERE}\n",
            "set.yaml:8: NOT_SET_ANYWHERE is not set.",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path: Path, text: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found.startswith(mistake)


def test_many_mistakes_are_told_at_once_and_not_without_end(tmp_path: Path) -> None:
    text = "title: T\ncases:\n" + "".join(f"  - name: c{n}\n    questoin: x\n" for n in range(9))
    found = mistakes(tmp_path, text)
    assert found[0] == "set.yaml:4: there is no key cases.0.questoin; did you mean question?"
    assert len(found) == 6
    assert found[-1] == "set.yaml has 4 more mistakes."


def test_a_file_that_is_not_there_or_no_text_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"nowhere\.yaml cannot be read: No such file"):
        read_set(tmp_path / "nowhere.yaml", {})
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(StartError, match=r"is no text in UTF-8\.$"):
        read_set(tmp_path / "bytes.yaml", {})


def test_two_sets_are_shipped_for_personalities_that_are_there() -> None:
    book = PersonalityBook.load(ROOT / "personalities", "assistant")
    sets = {path.stem: read_set(path, {}) for path in SHIPPED}
    assert list(sets) == ["languages", "personalities"]
    for each in sets.values():
        for variant, _ in each.asked("assistant"):
            assert book.get(variant.personality)
    assert {v.personality for v, _ in sets["personalities"].asked("assistant")} == set(book.names)
