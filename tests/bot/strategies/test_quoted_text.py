"""A quoted answer that ends anywhere says nothing but what stands in its sources."""

from __future__ import annotations

from bot.strategies.quoted_text import QuotedText
from bot.strategies.sentences import sentences

REFUSAL = "I did not find this in handbook."
PASSAGES = {
    1: "The pool opens at nine. Dogs stay outside, always.",
    12: "He wrote “no dogs” [1] on the door. The pool opens at ten.",
    13: "A ticket costs 4.50. \n\nChildren pay half, says Dr. Who, and 2*3 more.\n\n- no pay",
}
RUNS = {number: sentences(text) for number, text in PASSAGES.items()}
ANSWER = (
    "> “The pool opens at nine.” [1]\n\n"
    "> “He wrote “no dogs” [1] on the door.” [12]\n\n"
    "> … “The pool opens” … [12]"
)


def cut(text: str, *, begun: str = "") -> tuple[QuotedText, str]:
    """The text character by character, and what becomes of it in the end."""
    growing = QuotedText(RUNS, REFUSAL, begun)
    shown = "".join(map(growing.feed, text))
    return growing, shown + growing.close()


def is_true(line: str) -> bool:
    said, _, rest = line.removeprefix("> ").removeprefix("… ").removeprefix("“").rpartition("”")
    number = int(rest.rpartition("[")[2].removesuffix("]"))
    return rest in (f" [{number}]", f" … [{number}]") and said in PASSAGES[number]


def test_wherever_it_is_cut_its_quotations_are_whole() -> None:
    for length in range(5, len(ANSWER) + 1):
        _, whole = cut(ANSWER[:length])
        assert whole.startswith(ANSWER[:length].rstrip("> …“\n"))
        assert all(map(is_true, whole.split("\n\n")))


def test_a_cut_within_a_sentence_is_marked_and_one_behind_it_is_not() -> None:
    assert cut("> “The pool op")[1] == "> “The pool op” … [1]"
    assert cut("> “The pool opens at ten.")[1] == "> “The pool opens at ten.” [12]"
    assert cut("> “The pool opens at nine.” ")[1] == "> “The pool opens at nine.” [1]"
    assert cut("> “The pool opens” …")[1] == "> “The pool opens” … [1]"
    assert cut("> “A ticket costs 4.")[1] == "> “A ticket costs 4.” … [13]"
    assert cut("> “Children pay half, says Dr.")[1] == "> “Children pay half, says Dr.” … [13]"
    assert cut("> “no pay")[1] == "> “no pay” [13]"


def test_no_half_of_an_escape_shows() -> None:
    growing, whole = cut("> “Children pay half, says Dr. Who, and 2\\")
    assert whole == "> “Children pay half, says Dr. Who, and 2” … [13]"
    assert growing.cited == [13]


def test_no_quotation_shows_before_its_first_letter() -> None:
    growing = QuotedText(RUNS, REFUSAL)
    shown = [
        growing.feed(each) for each in ("> ", "“", "The", " pool opens at nine.” [1]", "\n\n>")
    ]
    assert shown == ["", "", "> “The", " pool opens at nine.” [1]", ""]
    assert growing.close() == ""
    assert growing.cited == [1]


def test_no_half_of_a_character_shows() -> None:
    assert cut("> “The pool\ufffd")[1] == "> “The pool” … [1]"
    for nothing in ("\ufffd", "> \ufffd", "> “\ufffd", "> … \ufffd"):
        growing, whole = cut(nothing)
        assert (whole, growing.outcome) == ("", None)


def test_a_cut_refusal_is_completed() -> None:
    for length in range(1, len(REFUSAL) + 1):
        growing, whole = cut(REFUSAL[:length])
        assert whole == REFUSAL
        assert growing.outcome == "refused"


def test_what_it_goes_on_from_is_cited_too() -> None:
    begun = "> “The pool opens at ten.” [12]\n\nSources: [12] door.md"
    growing, whole = cut("\n\n> “Dogs stay outside, always.” [1]", begun=begun)
    assert whole == "\n\n> “Dogs stay outside, always.” [1]"
    assert growing.cited == [12, 1]
    assert growing.outcome == "quoted"


def test_nothing_is_neither_quoted_nor_refused() -> None:
    growing, whole = cut("> “")
    assert (whole, growing.outcome) == ("", None)


def test_what_stands_in_no_passage_gets_no_number() -> None:
    growing, whole = cut("> “The pool is closed")
    assert whole == "> “The pool is closed”"
    assert (growing.cited, growing.outcome) == ([], None)
