"""Markdown as Discord shows it."""

from __future__ import annotations

import pytest
from hypothesis import given

from adapters.discord.markup import drawing, render
from bot.markdown.layout import Layout
from tests.adapters.discord.conftest import pings
from tests.contracts.adapter import MARKDOWN, quickly

J = "\u2060"


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("# Title\n**bold** `code`", "# Title\n**bold** `code`"),
        ("#### Deep ####", "**Deep**"),
        ("![cat](https://x.org/c.png)", "[cat](https://x.org/c.png)"),
        ("| a | bb |\n|---|---|\n| 1 | 2 |", "```\na | bb\n--+---\n1 | 2\n```"),
        ("a\n\n|a|b|\n|-|-|\n|1|2|\nend", "a\n\n```\na | b\n--+--\n1 | 2\n```\nend"),
        (
            "|a|b|\n|-|-|\n|1|2|\n![c](https://x.org)",
            "```\na | b\n--+--\n1 | 2\n```\n[c](https://x.org)",
        ),
        ("```\n| a | b |\n|---|---|\n```", "```\n| a | b |\n|---|---|\n```"),
        ("```py\n#### x\n```", "```py\n#### x\n```"),
        ("| a | b |\n|---|---|\n| **1** | x \\| y |", "```\na | b\n--+------\n1 | x | y\n```"),
        (
            "| [x](https://x.org) |\n|---|\n| https://x.org |",
            "```\nx (https://x.org)\n-----------------\nhttps://x.org\n```",
        ),
        ("> | a | b |\n> |---|---|\n> | 1 | 2 |", "> ```\n> a | b\n> --+--\n> 1 | 2\n> ```"),
        (
            "- | a | b |\n  |---|---|\n  | 1 | 2 |\n- c",
            "- ```\n  a | b\n  --+--\n  1 | 2\n  ```\n- c",
        ),
        (
            "1. a\n\n    ```\n    | a | b |\n    |---|---|\n    ```\n",
            "1. a\n\n   ```\n   | a | b |\n   |---|---|\n   ```",
        ),
        ("- x\n| a | b |\n|---|---|\n| 1 | 2 |", "- x\n```\na | b\n--+--\n1 | 2\n```"),
        ("> #### Deep", "> **Deep**"),
        ("#### About C#", "**About C#**"),
        ("#### **Deep** end", "**Deep end**"),
        ("`![cat](https://x.org/c.png)` is an image", "`![cat](https://x.org/c.png)` is an image"),
        ('![cat](https://x.org/c.png "Tom")', "[cat](https://x.org/c.png)"),
        ("hello @everyone", f"hello @{J}everyone"),
        ("<@123> <@&5> <#7>", f"<{J}@123> <{J}@&5> <{J}#7>"),
        ("mail me@here.org </div> a<b", "mail me@here.org </div> a<b"),
        ("a\r\nb\x00c", "a\nbc"),
        ("\ud800", "?"),
    ],
)
def test_markdown_becomes_what_discord_renders(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


Z = "\u200b"


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        (">>> print(1)\n1", "\\>>> print(1)\n1"),
        ("a || b || c", "a \\|\\| b \\|\\| c"),
        ("~~~py\nx\n~~~", "```py\nx\n```"),
        ("__Note:__ x", "**Note:** x"),
        ("__init\\_\\_", "\\_\\_init\\_\\_"),
        ("[https://x.org/a](https://x.org/a)", "https://x.org/a"),
        ("[see https://x.org](https://y.org)", "see https\\://x.org (https://y.org)"),
        ("[a [b](https://x.org)", "[a [b](https://x.org)"),
        ("[docs](/docs) [x](#top)", "docs (/docs) x (#top)"),
        ("+ one\n+ two", "- one\n- two"),
        ("Title\n===\ntext", "# Title\ntext"),
        ("a\n\n---\n\nb", f"a\n\n{'─' * 20}\n\nb"),
        ("-# small\n\\# big\n\\- item", "\\-# small\n\\# big\n\\- item"),
        ("1\\. one\n\\> 5", "1\\. one\n\\> 5"),
        ("<t:1700000000:R> <:a:1> </ask:1>", "\\<t:1700000000:R> \\<:a:1> \\</ask:1>"),
        ("[a](https://x.org)(b)", "[a](https://x.org)(b)"),
        ("\\[a](b)", "[a]\\(b)"),
        ("C:\\dir and a\\\\", "C:\\dir and a\\\\"),
        ("~$58k to ~$16k, 2 * 3", "~$58k to ~$16k, 2 \\* 3"),
    ],
)
def test_what_means_something_on_discord_alone_is_shown_as_it_was_meant(
    markdown: str, shown: str
) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("1. a\n\n    ```\n    #### b\n    ```", "1. a\n\n   ```\n   #### b\n   ```"),
        ("````\n```\n#### a\n```\n````", f"```\n``{Z}`\n#### a\n``{Z}`\n```"),
        ("#### Step **one** now", "**Step one now**"),
        ("# Step **one**", "# Step **one**"),
        ("- # Step", "- **Step**"),
        ("| a |\n|---|\n| `a \\| b` |", "```\na\n-----\na | b\n```"),
        ("[![CI](https://x.org/a.svg)](https://x.org/b)", "[CI](https://x.org/b)"),
        ("| **a** |\n|---|\n| _b_ `c` |", "```\na\n---\nb c\n```"),
        ("| 名前 | b |\n|---|---|\n| a | 👍 |", "```\n名前 | b\n-----+---\na    | 👍\n```"),
        ("> a\n>\n> b\n\nc", "> a\n> \n> b\n\nc"),
        ("> a\n> > b", "> a\n> │ b"),
        ("- a\n  > b", "- a\n  │ b"),
        ("a<br>b", "a\nb"),
        ("<u>a</u> H<sub>2</sub>O <kbd>x</kbd> &lt; y", "__a__ H₂O `x` < y"),
        ("**`a**b`** c", "`a**b` c"),
        ("**x `a**b` y**", "**x** `a**b` **y**"),
        ("*a*b 2*3*4 *c*", "*a*b 2*3*4 _c_"),
        ("*a **b***c", f"_a **b**_{Z}c"),
        ("**a***b*", "**a**_b_"),
        ("`` a`b `` `` ` ``", "``a`b`` `` ` ``"),
    ],
)
def test_blocks_and_marks_become_those_that_discord_has(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://medium.com/@hereandnow/post-1",
        "ops@hereford.example",
        "write to me@here.org, or not",
        "`npm i @here/maps-api`",
        "`<@123> @everyone <#7>`",
        "```\n<@123> @everyone\n```",
        "https://github.com/x/y/tree/main/__tests__/a.js and so on",
        "(https://x.org/a_b*c*).",
        "@hereford and @everyoneelse",
    ],
)
def test_code_addresses_mail_and_other_names_stay_byte_for_byte(text: str) -> None:
    assert render(text) == text


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("请访问https://x.org/docs，然后", "请访问<https://x.org/docs>，然后"),
        ("https://en.wikipedia.org/wiki/A_(b) x", "<https://en.wikipedia.org/wiki/A_(b)> x"),
        ("[a](https://x.org/A_(b))", "[a](https://x.org/A_(b))"),
        ("**see https://x.org/a**b now**", "**see** https://x.org/a**b **now**"),
        ("HTTPS://X.org x", "<HTTPS://X.org> x"),
    ],
)
def test_an_address_that_discord_would_end_elsewhere_stands_in_brackets(
    markdown: str, shown: str
) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "max_size", "parts"),
    [
        (
            "- one\n  - two is rather long\n  - three",
            30,
            ["- one\n  - two is rather long", "- …\n  - three"],
        ),
        ("> one two three four\n> five six", 22, ["> one two three four", "> five six"]),
        ("**one two three four five**", 18, ["**one two three**", "**four five**"]),
        ("3. one two three four five six", 24, ["3. one two three four", "five six"]),
    ],
)
def test_what_is_cut_begins_again_in_the_next_message(
    markdown: str, max_size: int, parts: list[str]
) -> None:
    assert Layout(drawing, max_size).parts(markdown) == parts


SENTENCES = " ".join(f"This is the sentence {n}." for n in range(140))
ROWS = "\n".join(f"| row {n} | of a long table |" for n in range(120))


@pytest.mark.parametrize(
    ("markdown", "begins", "ends"),
    [
        (f"> {SENTENCES}", "> This", "."),
        (f"**{SENTENCES}**", "**This", ".**"),
        ("> ```py\n> " + "print(1)  # again\n> " * 150 + "```", "> ```py\n> print", "\n> ```"),
        (f"| a | b |\n|---|---|\n{ROWS}", "```\na ", "\n```"),
    ],
    ids=["quote", "bold", "quoted code", "table"],
)
def test_every_message_of_a_long_answer_is_whole_by_itself(
    markdown: str, begins: str, ends: str
) -> None:
    parts = Layout(drawing, 2000).parts(markdown)
    assert len(parts) > 1
    for part in parts:
        assert part.startswith(begins)
        assert part.endswith(ends)


def test_discord_counts_code_points() -> None:
    assert drawing.size("👍" * 2000) == 2000


@quickly
@given(MARKDOWN)
def test_nothing_pings_and_nothing_is_lost(markdown: str) -> None:
    rendered = render(markdown)
    assert not pings(rendered)
    assert rendered.strip() or not any(map(str.isalnum, markdown))
