"""A reply that means harm shows as text: whoever gets a model to write it gets nothing else."""

from __future__ import annotations

from html import unescape

import pytest

from adapters.web.markup.growing import GrowingPage, html_of
from adapters.web.markup.wall import walled
from tests.adapters.web.markup.reader import read

SCRIPTS = (
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://x.org/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    '<img src=x onerror="alert(1)">',
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    '<iframe src="javascript:alert(1)"></iframe>',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="java&#115;cript:alert(1)">x</a>',
    '<a href="https://x.org" onclick="alert(1)">x</a>',
    '<a href="https://x.org" style="position:fixed;inset:0">x</a>',
    '<p onmouseover=alert(1) id="parley" class="copy">x</p>',
    "<style>*{display:none}</style>",
    '<div style="background:url(javascript:alert(1))">x</div>',
    '<form action="https://x.org"><input autofocus onfocus=alert(1)><button>x</button></form>',
    '<meta http-equiv="refresh" content="0;url=https://x.org">',
    '<link rel="stylesheet" href="https://x.org/x.css">',
    '<base href="https://x.org/">',
    '<object data="data:text/html,<script>alert(1)</script>"></object>',
    "<details open ontoggle=alert(1)>x</details>",
    "<video><source onerror=alert(1)></video>",
    "<math><mtext></p><img src=x onerror=alert(1)></mtext></math>",
    '<math href="javascript:alert(1)"><mi>x</mi></math>',
    "<math><mi><mglyph><style><img src=x onerror=alert(1)></style></mglyph></mi></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--<img src='--><img src=x onerror=alert(1)>'>",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "<template><script>alert(1)</script></template>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](//evil.org)",
    "[x](/page/chats/1)",
    '[x](https://a.org/"onmouseover=alert(1)//)',
    "[x](https://a.org/'><script>alert(1)</script>)",
    "![x](javascript:alert(1))",
    "![x](https://x.org/pixel.png)",
    "<javascript:alert(1)>",
    '```"><script>alert(1)</script>\nx\n```',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "| <script>alert(1)</script> | b |\n|---|---|\n| </td></table><img src=x onerror=alert(1)> | |",
    "# <img src=x onerror=alert(1)>",
    "- </li></ul><script>alert(1)</script>",
    r"\(\text{<script>alert(1)</script>}\)",
    r"\(\text{<img src=x onerror=alert(1)>}\)",
    r"\(\text{&lt;img src=x onerror=alert(1)&gt;}\)",
    r"\(\href{javascript:alert(1)}{x}\)",
    r"\(\style{position:fixed}{x}\)",
    r"\(\class{copy}{x} \cssId{parley}{y}\)",
    r"\(\unicode{x3c}img src=x onerror=alert(1)\unicode{x3e}\)",
    r"\(\color{white}{x}\)",
    r"\(\rule{900em}{900em}\)",
    r"\(\raise{90em}{x}\)",
    r"\(\newcommand{\a}{\a\a}\a\)",
)


@pytest.mark.parametrize("markdown", SCRIPTS)
def test_nothing_of_it_runs_loads_or_leads_anywhere_else(markdown: str) -> None:
    page = GrowingPage()
    for text in (markdown, f"> {markdown}", f"1. {markdown}", f"**{markdown}**", f"~~{markdown}"):
        for block in (*html_of(text), *page.grow(text)[1]):
            for link in read(block).every("a"):
                assert link.attributes["href"].startswith("https://")


@pytest.mark.parametrize(
    "markdown", [each for each in SCRIPTS if each.startswith(("<scr", "<svg"))]
)
def test_html_shows_as_it_was_written(markdown: str) -> None:
    assert read(html_of(markdown)[0]).text == unescape(markdown)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("a\u202eb\u2066c\u0085d", "abcd"),
        ("`a\u202eb`", "a⟨U+202E⟩b"),
        ("```\nif\u2066x\n```", "Copyif⟨U+2066⟩x"),
        ("a\u200fb \u200d \xad", "a\u200fb \u200d \xad"),
    ],
)
def test_what_turns_a_text_around_is_left_out_and_named_in_code(markdown: str, text: str) -> None:
    assert read(html_of(markdown)[0]).text == text


@pytest.mark.parametrize("mark", ["*", "_", "~~", "<u>", ">", "- ", "$", "\\(", "`", "<"])
def test_no_text_is_too_deep_for_the_page(mark: str) -> None:
    for text in (mark * 5_000, f"{mark * 3_000}x{mark.replace('<u', '</u') * 3_000}"):
        for block in html_of(text):
            read(block)


def test_an_address_that_does_not_show_whole_is_no_link() -> None:
    (block,) = html_of("[x](https://x.org/\u202egpj.exe)")
    assert "<a" not in block


def test_the_wall_lets_nothing_through_but_what_is_written() -> None:
    assert walled('<p id="a" class="copy">x<b>y</b></p><script>alert(1)</script>') == "xyalert(1)"
    assert walled('<span class="k evil" onclick="x">y</span>') == '<span class="k">y</span>'
    for url in ("javascript:alert(1)", "data:text/html,x", "/page/chats", "//x.org", "x"):
        assert "href" not in walled(f'<a href="{url}">x</a>')
    assert walled('<math><mi href="x" style="y" mathcolor="red">z</mi></math>') == (
        "<math><mi>z</mi></math>"
    )
