"""Markdown as models write it and worse, for the property tests of every platform's markup.

``answers`` draws whole texts: blocks made of realistic pieces of text in many scripts, addresses,
code and marks, glued with and without spaces, and raw characters that mean something somewhere.
"""

from __future__ import annotations

from hypothesis import strategies as st

ADDRESSES = (
    "https://x.org",
    "https://github.com/x/y/tree/main/__tests__/a.js",
    "https://example.org/_next_/a_b*c*?q=1&r=~2#frag",
    "https://en.wikipedia.org/wiki/Python_(programming_language)",
    "https://medium.com/@hereandnow/post-1",
    "http://localhost:3978/healthz",
)
MAILS = ("ops@hereford.example", "first_last+tag@mail.example.com")
CODE = (
    "x = 1",
    "a < b && c > d",
    "snake_case_name",
    "**kwargs",
    "~/.config",
    "npm i @here/maps-api",
    "<@U01> @everyone",
    "https://x.org/_a_",
    "![alt](u)",
    "設定",
)
TICKED_CODE = ("a`b", "SELECT `id` FROM `t`", "`")
WORDS = (
    "plain words",
    "snake_case_name",
    "2*3*4",
    "2 * 3 * 4",
    "~$58k to ~$16k",
    "~5",
    "C++ & <b>x",
    "a < b > c",
    "1. one",
    "don't",
    "(see above)",
    "50% off!",
    "設定は完了。",
    "注意：",
    "「重要」",
    "请访问",
    "한국어를",
    "สวัสดี",
    "שלום",
    "مرحبا؟",
    "नमस्ते",
    "Größe",
    "👍🏽 👨‍👩‍👧 🇫🇷",
    "@channel @here @everyone",
    "<@U01> <!channel> <#C01|x> <@&1>",
    "<at>Bot</at>",
    "<https://x.org|here>",
    "C:\\dir\\*",
    "\\*not bold\\*",
    "\\> 5 items",
    "\\_x\\_ \\~y\\~ \\`z\\`",
    "&amp; &lt;b&gt; &#42;",
    "a || b || c",
    "$5 and $6",
    ":smile:",
    "…",
)
RAW = "*_~`>|<&[]()!#-+.:;\\\"'=@^ \n\tab1。、（）「」：＊＿～｀＞é字\u200b"


def _marked(text: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    marks = st.sampled_from(["**", "*", "_", "__", "~~", "***"])
    return st.builds(lambda mark, inner: f"{mark}{inner}{mark}", marks, text)


_atoms = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.sampled_from(ADDRESSES),
    st.sampled_from([f"<{mail}>" for mail in MAILS] + [*MAILS]),
    st.sampled_from([f"`{code}`" for code in CODE] + [f"`` {code} ``" for code in TICKED_CODE]),
    st.builds(
        lambda label, url: f"[{label}]({url})", st.sampled_from(WORDS), st.sampled_from(ADDRESSES)
    ),
    st.text(RAW, max_size=6),
)
_inline = st.recursive(
    _atoms,
    lambda inner: _marked(inner) | st.builds("".join, st.lists(inner, max_size=3)),
    max_leaves=5,
)
_glue = st.sampled_from([" ", " ", " ", "", ", ", "。", "(", ")", "/", "-", "\n", "<br>"])
lines = st.lists(st.tuples(_inline, _glue), min_size=1, max_size=6).map(
    lambda pieces: "".join(text + glue for text, glue in pieces)
)
"""Text of a paragraph, with a line end here and there."""

_one_line = lines.map(lambda text: " ".join(text.split()))
_code_blocks = st.builds(
    lambda info, code, mark: f"{mark}{info}\n{code}\n{mark}",
    st.sampled_from(["", "python", "sql"]),
    st.lists(st.sampled_from([*CODE, *TICKED_CODE, "", "    indented"]), max_size=6).map("\n".join),
    st.sampled_from(["```", "~~~", "````"]),
)


def _prefixed(first: str, rest: str, text: str) -> str:
    one, *others = text.split("\n")
    return "\n".join([first + one, *(f"{rest}{line}".rstrip() for line in others)])


def _nested(blocks: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quotes = blocks.map(lambda text: _prefixed("> ", "> ", text))
    bullets = st.lists(blocks, min_size=1, max_size=3).map(
        lambda items: "\n".join(_prefixed("- ", "  ", item) for item in items)
    )
    numbers = st.lists(blocks, min_size=1, max_size=3).map(
        lambda items: "\n".join(_prefixed(f"{n}. ", "   ", item) for n, item in enumerate(items, 1))
    )
    return quotes | bullets | numbers


def _table(rows: list[tuple[str, str]]) -> str:
    cells = [f"| {one.replace('|', '/')} | {two.replace('|', '/')} |" for one, two in rows]
    return "\n".join([cells[0], "|---|:-:|", *cells[1:]])


tables = st.lists(st.tuples(_one_line, _one_line), min_size=1, max_size=4).map(_table)
_headings = st.builds(lambda level, text: f"{'#' * level} {text}", st.integers(1, 6), _one_line)
_plain_blocks = st.one_of(lines, lines, _headings, _code_blocks, st.sampled_from(["---", "==="]))
blocks = st.recursive(_plain_blocks, _nested, max_leaves=4)
"""Every block but a table."""

answers = st.lists(blocks, min_size=1, max_size=4).map("\n\n".join)
"""Whole answers without tables: the head of a table that is cut is shown again."""

answers_with_tables = st.lists(blocks | tables, min_size=1, max_size=4).map("\n\n".join)
