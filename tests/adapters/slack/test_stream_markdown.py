"""What goes into a stream only grows, shows what an edit shows, and pings nobody."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.assistant.markdown import settled, whole
from adapters.slack.mrkdwn.markup import SlackText, drawing
from bot.markdown.layout import Layout
from bot.markdown.tree import Block
from tests.adapters.slack.conftest import pings

STORY = """Here is **what you asked**, with `code` and [a link](https://x.org/a_(b)) in it.

# Steps
1. Open *the* file
2. Run it:

```python
for each in range(3):
    print("<!channel>", each)
```

| name | size |
|------|------|
| one  | 1    |
| two  | 2    |

> Quoted, and ~~gone~~.

- a snake_case_name
- 2 * 3 = 6, so there
  - nested

The end of it."""
_CONTROL = re.compile(r"<(?=[!@#])|@(?=here|channel|everyone)", re.IGNORECASE)


def blocks_of(markdown: str, *, is_growing: bool = False) -> tuple[Block, ...]:
    (text,) = Layout(drawing, 100_000).parts(markdown, is_growing=is_growing)
    assert isinstance(text, SlackText)
    return text.blocks


def growth(markdown: str) -> list[str]:
    """What would be in the stream after each further letter."""
    layout, seen = Layout(drawing, 100_000), [""]
    for end in range(1, len(markdown) + 1):
        parts = layout.parts(markdown[:end], is_growing=True)
        text = parts[0] if parts else ""
        now = settled(text.blocks) if isinstance(text, SlackText) else ""
        assert now.startswith(seen[-1]) or seen[-1].startswith(now), (seen[-1], now)
        seen.append(max(now, seen[-1], key=len))
    return seen


def test_a_usual_answer_only_grows() -> None:
    seen = growth(STORY)
    assert whole(blocks_of(STORY)).startswith(seen[-1])
    assert seen[-1].endswith("The end of ")


def test_no_piece_begins_with_white_space() -> None:
    seen = growth(STORY)
    pieces = [b[len(a) :] for a, b in pairwise(seen) if a != b]
    assert len(pieces) > 30
    assert not [piece for piece in pieces if piece[0].isspace()]


@pytest.mark.parametrize(
    ("so_far", "settled_part"),
    [
        ("see **bold te", "see **bold "),
        ("see `code he", "see "),
        ("see [the docs](https://x.o", "see "),
        ("see https://exam", "see "),
        ("a | b", ""),
        ("Text\n\n```py\na = 1\nb =", "Text\n\n```py\na = 1\nb "),
        ("- one\n- two wo", "- one\n- two "),
        ("> quoted te", "> quoted "),
        ("one word", "one "),
        ("", ""),
    ],
)
def test_what_may_still_change_is_held_back(so_far: str, settled_part: str) -> None:
    assert growth(so_far)[-1] == settled_part


@pytest.mark.parametrize(
    "ping",
    [
        "<!channel>", "<!here|here>", "<@U01ABC>", "<#C01>", "<!subteam^S01>", "@here",
        "@Channel", "`<!channel>`", "```\n<!everyone> @everyone\n```", "| a |\n|---|\n| <@U01> |",
        "[<!here>](https://x.org)", "# <!channel>", "> @everyone", "&lt;!channel&gt;",
    ],
)  # fmt: skip
def test_no_ping_in_a_stream_and_none_in_an_edit(ping: str) -> None:
    assert not _CONTROL.search(whole(blocks_of(f"Hello {ping}")))
    assert not pings(drawing.markdown(f"Hello {ping}"))


@pytest.mark.parametrize("url", ["javascript:alert(1)", "slack://open", "file:///etc/passwd"])
def test_a_link_leads_to_the_web_or_nowhere(url: str) -> None:
    assert not re.search(rf"(?<!\\)\]\({url[:4]}", whole(blocks_of(f"[click]({url})")))


_PIECES = st.sampled_from(
    ["<!channel>", "<@U01>", "@here", "**", "*", "_", "`", "```\n", "\n", "\n\n", "- ", "> ", "|",
     "[a](", "https://x.org", ")", "word ", "<", "&lt;!here>", "\\", "# ", "1. ", "~~", "\ue000"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=25).map("".join))
def test_whatever_is_written_pings_nobody_and_breaks_nothing(markdown: str) -> None:
    parts = Layout(drawing, 100_000).parts(markdown, is_growing=True)
    for text in parts:
        assert isinstance(text, SlackText)
        assert not _CONTROL.search(whole(text.blocks))
        assert whole(text.blocks).startswith(settled(text.blocks))
