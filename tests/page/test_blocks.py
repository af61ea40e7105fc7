"""Blocks that grow in the page end as they would have been drawn at once."""

from __future__ import annotations

from adapters.web.markup.growing import GrowingPage
from tests.corpus.answers import answers
from tests.page.conftest import Visit

STEP = 7
EVERYTHING = """## A plan

Some **bold *and* slanted** words, `code`, a $x^2$ and https://example.org/a.

1. First
   - inner *point*
   - another

   a paragraph of it
2. Second:

   ```python
   def f(x):  # says nothing
       return "a < b" if x else None
   ```

---

> A quote with two
>
> paragraphs & <tags>.

| a | b |
|---|---|
| 1 | `2` |
| 3 | **4** |

$$\\frac{1}{2}$$

שלום עולם

The end.
"""
CHECK = """(steps) => {
  const plain = (holder) => { holder.normalize(); return holder.innerHTML; };
  const holder = document.createElement("div");
  let shown = [];
  for (const blocks of steps) {
    patch(holder, shown, blocks);
    shown = blocks;
    const fresh = document.createElement("div");
    fresh.innerHTML = blocks.join("");
    if (plain(holder.cloneNode(true)) !== plain(fresh)) return [holder.innerHTML, fresh.innerHTML];
  }
  return [];
}"""


def steps(markdown: str) -> list[list[str]]:
    """The blocks of every step on the way, and of the end."""
    page = GrowingPage()
    found = []
    for end in range(STEP, len(markdown) + STEP, STEP):
        page.grow(markdown[:end], is_growing=end < len(markdown))
        found.append([*page.blocks])
    return found


LONG = "```python\n" + "".join(f"print({n})  # {n}\n" for n in range(150)) + "```\n\nThe end."
OF_PEOPLE = [each for each in answers() if each.number < 3]


async def test_what_has_grown_is_what_would_be_drawn_at_once(visit: Visit) -> None:
    page = await visit()
    for markdown in (EVERYTHING, LONG, *(each.markdown[:1_500] for each in OF_PEOPLE)):
        assert await page.evaluate(CHECK, steps(markdown)) == [], markdown[:80]
