"""What Teams takes as entities of a message: its label, its citations, its place in a stream.

Where Teams answers 400, a bot must never come to: each is said in a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MAX_CITATIONS, MAX_NAME, MAX_ABSTRACT = 20, 80, 160
ICONS = {"Text", "PDF", "Source Code", "Image", "Microsoft Word", "Microsoft Excel"}
_LABEL = {
    "type": "https://schema.org/Message",
    "@type": "Message",
    "@context": "https://schema.org",
    "additionalType": ["AIGeneratedContent"],
}
_APPEARANCE = {"@type", "name", "abstract", "image"}


def wrong_entities(body: Json) -> list[str]:
    entities = body.get("entities", [])
    labels = [each for each in entities if each.get("type") == _LABEL["type"]]
    known = (_LABEL["type"], "streaminfo")
    wrong = [f"an entity of type {e.get('type')}" for e in entities if e.get("type") not in known]
    if len(labels) > 1:
        wrong.append("several root message entities")
    if labels and body.get("type") != "message":
        wrong.append("a label on what is no message yet")
    for label in labels:
        wrong += _wrong_label(label, str(body.get("text")))
    return wrong


def _wrong_label(label: Json, text: str) -> Iterator[str]:
    if {key: value for key, value in label.items() if key != "citation"} != _LABEL:
        yield f"a label of another shape: {label}"
    if "citation" not in label:
        return
    claims = label["citation"]
    if not 1 <= len(claims) <= MAX_CITATIONS:
        yield f"{len(claims)} citations"
    for number, claim in enumerate(claims, 1):
        if claim.keys() != {"@type", "position", "appearance"} or claim["@type"] != "Claim":
            yield f"a claim of another shape: {claim}"
        if claim.get("position") != number or f"[{number}]" not in text:
            yield f"citation {number} is not where the text has its number"
        yield from _wrong_appearance(claim.get("appearance", {}))


def _wrong_appearance(shown: Json) -> Iterator[str]:
    if shown.keys() - {"url"} != _APPEARANCE or shown["@type"] != "DigitalDocument":
        yield f"an appearance of another shape: {shown}"
        return
    if not shown.get("url", "https://").startswith(("https://", "http://")):
        yield f"an address that is none: {shown['url']}"
    if not 1 <= len(shown["name"]) <= MAX_NAME:
        yield f"a name of {len(shown['name'])} characters"
    if not 1 <= len(shown["abstract"]) <= MAX_ABSTRACT:
        yield f"an abstract of {len(shown['abstract'])} characters"
    if shown["image"].keys() != {"@type", "name"} or shown["image"]["name"] not in ICONS:
        yield f"an icon of another shape: {shown['image']}"
