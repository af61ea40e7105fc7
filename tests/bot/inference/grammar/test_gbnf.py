"""Grammars in llama.cpp's own notation, and the texts that fit them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.answer_formats import AnswerFormat, Grammar, Regex
from bot.errors import UnsupportedFormat
from bot.inference.grammar.formats import grammar_of
from tests.bot.inference.grammar.texts import Texts

JSON = r"""
# any value, with the white space that people put into it
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
LIST = """root ::= item+

# Excludes various line break characters
item ::= "- " [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ "\\n"
"""
CHESS = """
root   ::= "1. " move " " move "\\n" ([1-9] [0-9]? ". " move " " move "\\n")+
move   ::= (pawn | nonpawn | castle) [+#]?

# piece type, optional file/rank, optional capture, dest file & rank
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn   ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?
"""
SUMS = """
root  ::= (expr "=" ws term "\\n")+
expr  ::= term ([-+*/] ws term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \\t\\n]*
"""


def held_to(answer_format: AnswerFormat) -> Texts:
    return Texts(grammar_of(answer_format), hint="]}\n")


@pytest.mark.parametrize(
    ("grammar", "fitting", "others"),
    [
        (
            JSON,
            ['{}', '{"a": [1, -2.5e3, "\\u00e9\\n"], "größe": {"x":null}}', '{\n  "a":true }'],
            ['[]', '{"a"}', '{"a": 01}', '{"a": "\n"}', '{"a": 1,}', ""],
        ),
        (LIST, ["- milk\n", "- milk\n- 2 eggs, größe M\n"], ["milk\n", "- \n", "- a\u2028b\n", ""]),
        (
            CHESS,
            ["1. e4 e5\n2. Nf3 Nc6\n", "1. d4 d5\n2. O-O exd8=Q+\n"],
            ["1. e4 e5\n", "1. e9 e5\n2. a3 a6\n"],
        ),
        (SUMS, ["a+1=b\n", "(x * 2) - y_1 = 3\n", "a=b\n\nc = d \n"], ["a=b", "1+=2\n", "A=b\n"]),
    ],
    ids=["json", "list", "chess", "arithmetic"],
)  # fmt: skip
def test_grammars_as_people_write_them_for_llama_cpp(
    grammar: str, fitting: list[str], others: list[str]
) -> None:
    texts = held_to(Grammar(grammar))
    assert [text for text in fitting if not texts.has(text)] == []
    assert [text for text in others if texts.has(text)] == []


def test_what_the_grammar_of_json_allows_is_json() -> None:
    texts = held_to(Grammar(JSON))
    for seed in range(40):
        if text := texts.found(seed):
            json.loads(text)


def test_a_character_belongs_to_whatever_rule_fits_it() -> None:
    """A lexer would take the ``end`` for letters, and ``ab`` for a word of its own."""
    texts = held_to(Grammar('root ::= [a-z]* "end" | "(" root ")" | "ab" root'))
    fit = [text for text in ("end", "bend", "endend", "((end))", "abend", "en") if texts.has(text)]
    assert fit == ["end", "bend", "endend", "((end))", "abend"]


@pytest.mark.parametrize(
    ("item", "fitting", "others"),
    [
        (".", ["a", "\n", "日", "\x00"], ["", "ab"]),
        ("[^a-c]", ["d", "\n", "é"], ["b"]),
        (r"[\x41\u00e9\U0001F642]", ["A", "é", "🙂"], ["\\", "x"]),
        (r"[\]\-a\\]", ["]", "-", "a", "\\"], ["b"]),
        ("[a-]", ["a", "-"], ["b"]),
        ('"a"{2}', ["aa"], ["a", "aaa"]),
        ('"a"{2,}', ["aa", "aaaa"], ["a"]),
        ('"ab"{ 0, 2 }', ["", "ab", "abab"], ["ababab"]),
        ('"a"{0}', [""], ["a"]),
        ('"a" |', ["a", ""], ["aa"]),
        ('"é🙂\\t\\""', ['é🙂\t"'], [""]),
        ('Item item\nItem ::= "A"\nitem ::= "a"', ["Aa"], ["aA"]),
        ('start start-2\nstart ::= "s"\nstart-2 ::= root | "."', ["s.", "ss."], ["s"]),
    ],
)
def test_every_sign_of_the_notation_means_what_it_does_there(
    item: str, fitting: list[str], others: list[str]
) -> None:
    texts = held_to(Grammar(f"root ::= {item}"))
    assert [text for text in fitting if not texts.has(text)] == []
    assert [text for text in others if texts.has(text)] == []


_LETTERS = st.sampled_from([('"a"', "a"), ('"ab"', "ab"), ("[ab]", "[ab]"), ("[^a]", "[^a]")])
Pair = tuple[str, str]


def _composed(parts: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    both = st.tuples(parts, parts)
    return st.one_of(
        both.map(lambda p: (f"{p[0][0]} {p[1][0]}", f"{p[0][1]}{p[1][1]}")),
        both.map(lambda p: (f"({p[0][0]} | {p[1][0]})", f"(?:{p[0][1]}|{p[1][1]})")),
        st.tuples(parts, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{1,}"])).map(
            lambda p: (f"({p[0][0]}){p[1]}", f"(?:{p[0][1]}){p[1]}")
        ),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(_LETTERS, _composed, max_leaves=6),
    st.lists(st.text("ab\n", max_size=6), max_size=12),
)
def test_regular_grammars_mean_what_their_regular_expressions_do(
    pair: Pair, texts: list[str]
) -> None:
    grammar, expression = pair
    fitting = held_to(Grammar(f"root ::= {grammar}"))
    for text in texts:
        assert fitting.has(text) == bool(re.fullmatch(expression, text, re.DOTALL)), text


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        ("", "has no rule 'root'"),
        ('answer ::= "yes"', "has no rule 'root'"),
        ('root ::= "a" | b', "has no rule 'b'"),
        ('root ::= ("a"', "has a group that is not closed"),
        ('root ::= "a" )', "has ')' where a rule like"),
        ('root ::= "a', "has '\"a' where a rule should go on"),
        ('root = "a"', "has '= \"a\"' where a rule should go on"),
        ('root ::= "\\q"', "an escape that GBNF does not know"),
        ("root ::= [z-a]", "a range of characters from its end to its beginning"),
        ("root ::= []", "a class without characters"),
        ("root ::= [\\uD800]", "which is no character"),
        ('root ::= * "a"', "has '*' with nothing before it"),
        ('root ::= "a"{5,3}', "with more at least than at most"),
        ('root ::= "a"{5000}', "has more than 2,000 repetitions"),
        (f"root ::= {'(' * 5_000}", "has too many groups in each other"),
        ("root ::= <think>", "has '<think>' where a rule should go on"),
        ("x" * 70_000, "has more than 65,536 characters"),
        ("start: answer", 'unknown name: "answer"'),
        ("start: /(/", "cannot be followed: at 1"),
    ],
)
def test_a_wrong_grammar_is_refused_in_a_sentence(grammar: str, said: str) -> None:
    with pytest.raises(UnsupportedFormat) as refused:
        grammar_of(Grammar(grammar))
    sentence = str(refused.value)
    assert refused.value.name == "grammar"
    assert sentence.startswith("The grammar ")
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_grammar_in_lark_is_followed_as_it_is() -> None:
    texts = held_to(Grammar('%llguidance {}\nstart: "a" WORD\nWORD: /[b-d]+/'))
    assert [text for text in ("abcd", "a", "b") if texts.has(text)] == ["abcd"]


def test_an_answer_can_be_held_to_a_regular_expression() -> None:
    texts = held_to(Regex(r"\d{3}-(north|south)|^none$"))
    fit = [text for text in ("123-north", "none", "12-north", "x123-north") if texts.has(text)]
    assert fit == ["123-north", "none"]
    with pytest.raises(UnsupportedFormat, match="a group that is not closed") as refused:
        grammar_of(Regex("(a"))
    assert refused.value.name == "guided_regex"
