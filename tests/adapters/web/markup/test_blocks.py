"""What each kind of block is on the page."""

from __future__ import annotations

import pytest

from adapters.web.markup.growing import folded_html, html_of
from bot.markdown.links import LinkPolicy

LINK = 'target="_blank" rel="noopener noreferrer nofollow"'
COPY = '<button type="button" class="copy">Copy</button>'

BLOCKS = {
    "one *two*\nthree": '<p dir="auto">one <em>two</em><br>three</p>',
    "**a** ~~b~~ <u>c</u> `d < e`": (
        '<p dir="auto"><strong>a</strong> <s>b</s> <u>c</u> <code>d &lt; e</code></p>'
    ),
    "# One": '<h3 dir="auto">One</h3>',
    "### Three": '<h5 dir="auto">Three</h5>',
    "###### Six": '<h6 dir="auto">Six</h6>',
    "- a\n- b": '<ul dir="auto"><li>a</li><li>b</li></ul>',
    "1. a\n2. b": '<ol dir="auto"><li>a</li><li>b</li></ol>',
    "7. a\n8. b": '<ol start="7" dir="auto"><li>a</li><li>b</li></ol>',
    "- a\n  1. b": '<ul dir="auto"><li>a<ol><li>b</li></ol></li></ul>',
    "- a\n\n  b": '<ul dir="auto"><li><p>a</p><p>b</p></li></ul>',
    "> a\n> - b": '<blockquote dir="auto"><p>a</p><ul><li>b</li></ul></blockquote>',
    "| a | b |\n|---|---|\n| 1 | <b>x</b> |": (
        '<div class="scroll" tabindex="0" dir="auto"><table><thead><tr><th>a</th><th>b</th></tr>'
        "</thead><tbody><tr><td>1</td><td><strong>x</strong></td></tr></tbody></table></div>"
    ),
    "---": "<hr>",
    "```\n  a < b\n```": (
        f'<figure class="code">{COPY}<pre dir="ltr" tabindex="0"><code>  a &lt; b</code></pre>'
        "</figure>"
    ),
    "```python title=x\nif x: # y\n```": (
        f'<figure class="code" data-lang="python">{COPY}<pre dir="ltr" tabindex="0"><code>'
        '<span class="k">if</span> x: <span class="c"># y</span></code></pre></figure>'
    ),
    r"\(x^2\)": (
        '<p dir="auto"><math display="inline"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>'
        "</p>"
    ),
    "$$\nx\n$$": (
        '<p dir="auto"><span class="scroll" tabindex="0"><math display="block"><mrow><mi>x</mi>'
        "</mrow></math></span></p>"
    ),
    "[a](https://x.org/?b=1&c=%2F)": (
        f'<p dir="auto"><a href="https://x.org/?b=1&amp;c=%2F" {LINK}>a</a></p>'
    ),
    "https://x.org/a_b_c": (
        f'<p dir="auto"><a href="https://x.org/a_b_c" {LINK}>https://x.org/a_b_c</a></p>'
    ),
    "<a@b.de>": f'<p dir="auto"><a href="mailto:a@b.de" {LINK}>a@b.de</a></p>',
    "![a cat](https://x.org/cat.png)": (
        f'<p dir="auto"><a href="https://x.org/cat.png" {LINK}>a cat</a></p>'
    ),
}


@pytest.mark.parametrize("markdown", BLOCKS)
def test_a_block_is_one_element(markdown: str) -> None:
    assert html_of(markdown) == [BLOCKS[markdown]]


def test_a_list_begins_anew_where_its_numbers_do() -> None:
    assert html_of("1. a\n2. b\n\nand\n\n3. c") == [
        '<ol dir="auto"><li>a</li><li>b</li></ol>',
        '<p dir="auto">and</p>',
        '<ol start="3" dir="auto"><li>c</li></ol>',
    ]
    assert len(html_of("- a\n- b\n1. c\n2. d")) == 2


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("[bank.com](https://evil.org/x)", "(https://evil.org/x)"),
        ("[https://bank.com/a](https://evil.org/x)", "(https://evil.org/x)"),
        ("[see bank.com.](https://bank.com.evil.org)", "(https://bank.com.evil.org)"),
        ("[ba\u200bnk.com](https://evil.org)", "(https://evil.org)"),
        ("[**bank.com**](https://evil.org)", "(https://evil.org)"),
        ("[me@bank.com](mailto:you@evil.org)", "(mailto:you@evil.org)"),
        ("[github.com/a](https://github.com/b)", "(https://github.com/b)"),
    ],
)
def test_a_label_that_is_another_address_does_not_hide_where_it_leads(
    markdown: str, shown: str
) -> None:
    (block,) = html_of(markdown)
    assert block.endswith(f"</a> {shown}</p>")


@pytest.mark.parametrize(
    "markdown",
    [
        "[bank.com](https://www.bank.com/login)",
        "[www.bank.com](http://bank.com)",
        "[Bank.com/Login](https://bank.com/Login/)",
        "[me@bank.com](mailto:me@bank.com)",
        "[the manual, 2.1](https://x.org)",
        "[config.json](https://x.org/config.json)",
    ],
)
def test_an_honest_label_stands_alone(markdown: str) -> None:
    (block,) = html_of(markdown)
    assert block.endswith("</a></p>")


def test_an_address_that_nobody_gave_is_code_as_on_every_platform() -> None:
    links = LinkPolicy.of("known", ["see https://known.org/a"])
    assert html_of(
        "[a](https://known.org/a) [b](https://made.up/b)\n\n- https://made.up", links
    ) == [
        f'<p dir="auto"><a href="https://known.org/a" {LINK}>a</a> '
        "b (<code>https://made.up/b</code>)</p>",
        '<ul dir="auto"><li><code>https://made.up</code></li></ul>',
    ]


def test_reasoning_is_the_same_in_one_piece() -> None:
    assert folded_html("a\n\n- b") == '<p dir="auto">a</p><ul dir="auto"><li>b</li></ul>'


def test_an_empty_reply_has_no_blocks() -> None:
    assert html_of(" \n") == []
