"""The last wall: a list of all that ``markup`` writes between words of a reply (pure).

Every run of words passes it: the text of a paragraph, a cell or an item, and code. Around those
stand only tags in which nothing of the reply is written (see ``blocks``).
"""

from __future__ import annotations

from functools import lru_cache

import nh3

from adapters.web.markup.colours import CLASSES
from adapters.web.markup.mathml import ATTRIBUTES, ELEMENTS

_TAGS = {"strong", "em", "s", "u", "code", "br", "a", "span"}
_wall = nh3.Cleaner(
    tags={*_TAGS, *ELEMENTS},
    clean_content_tags=set(),
    attributes={"a": {"href"}} | {name: {*ATTRIBUTES} for name in ELEMENTS},
    allowed_classes={"span": {*CLASSES, "scroll"}},
    tag_attribute_values={"span": {"tabindex": {"0"}}},
    set_tag_attribute_values={"a": {"target": "_blank"}},
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)


def walled(html: str) -> str:
    """``html`` without any tag, attribute, class or scheme that ``markup`` does not write."""
    return _wall.clean(html)


@lru_cache(maxsize=512)
def passes(url: str) -> bool:
    """Whether an address, escaped, can be a link: it has a host, and a scheme that may be."""
    return " href=" in walled(f'<a href="{url}"></a>')
