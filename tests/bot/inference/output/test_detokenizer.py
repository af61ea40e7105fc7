from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.inference.output.text import Detokenizer


def test_a_character_split_over_tokens_is_shown_once_it_is_whole() -> None:
    text = Detokenizer()
    first, second, third, fourth = "🦜".encode()[:1], b"\x9f", b"\xa6", b"\x9c"
    assert [text.feed(first), text.feed(second), text.feed(third)] == ["", "", ""]
    assert text.feed(fourth) == "🦜"


def test_half_a_character_at_the_end_becomes_a_replacement_character() -> None:
    text = Detokenizer()
    assert text.feed("é".encode()[:1]) == ""
    assert text.flush() == "�"


def test_nothing_of_a_stop_string_is_ever_shown() -> None:
    text = Detokenizer(["\nUser:"])
    assert text.feed(b"Fine.\nUs") == "Fine."
    assert text.feed(b"er: and you?") == ""
    assert text.is_stopped
    assert text.feed(b"more") == ""
    assert text.flush() == ""


def test_the_beginning_of_a_stop_string_that_continues_otherwise_is_shown() -> None:
    text = Detokenizer(["END"])
    assert text.feed(b"the E") == "the "
    assert text.feed(b"N") == ""
    assert text.feed(b"glish") == "ENglish"


def test_an_answer_in_a_format_keeps_every_character() -> None:
    written = '"a\u2028b\u2029c\x7fd\r\n"'
    assert Detokenizer(is_exact=True).feed(written.encode()) == written
    assert Detokenizer().feed(written.encode()) == '"a\nb\ncd\n"'


def test_a_stop_string_with_another_line_end_is_found() -> None:
    for stop in ("\r\n", "\u2028"):
        text = Detokenizer([stop])
        assert text.feed(b"one\r\ntwo") == "one"
        assert text.is_stopped


def test_of_stop_strings_that_overlap_the_one_complete_first_counts() -> None:
    assert Detokenizer(["a", "baa"]).feed(b"baa") == "b"


def test_the_earliest_of_several_stop_strings_counts() -> None:
    text = Detokenizer(["bb", "aa"])
    assert text.feed(b"xaabb") == "x"


STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


@given(said=st.text("abé🦜", max_size=40), stops=STOPS, data=st.data())
def test_however_the_bytes_are_cut_the_text_is_the_same(
    said: str, stops: list[str], data: st.DataObject
) -> None:
    raw = said.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    text = Detokenizer(stops)
    shown = ""
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        shown += text.feed(raw[start:end])
    shown += text.flush()
    found = [(at + len(s), at) for s in stops if (at := said.find(s)) >= 0]
    assert shown == said[: min(found)[1] if found else len(said)]


def test_control_characters_do_not_reach_anybody_and_every_line_ends_alike() -> None:
    stream = Detokenizer()
    said = "".join(map(stream.feed, (b"a\r\nb\x1b[31mc", "\td\u2028e\x0bf\x00".encode())))
    assert said == "a\nb[31mc\td\ne\nf"
