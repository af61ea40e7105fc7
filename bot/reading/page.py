"""What is read of an address, or why nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.errors import ParleyError


@dataclass(frozen=True, slots=True)
class Page:
    """``address``: where it was found in the end. ``is_cut``: it goes on after ``text``."""

    address: str
    title: str
    text: str
    kind: Literal["page", "feed"] = "page"
    is_cut: bool = False


class PageRefused(ParleyError):
    """Nothing is read of an address, by a rule of Parley's or of the site's; one sentence."""


class PageFailed(PageRefused):
    """The server cannot be reached, or what it answers cannot be read."""
