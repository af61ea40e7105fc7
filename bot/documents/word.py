"""A document of Word as Markdown: headings, lists, tables, links, notes and comments.

mammoth makes HTML of the parts of XML; pictures stay in the file, and nothing outside is opened.
Tracked insertions are in the text, tracked deletions are not.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element, fromstring, iterparse, tostring
from zipfile import ZipFile

import mammoth  # type: ignore[import-untyped]

from bot.documents.unread import NothingRead, WhyUnread

_MAX_SIZE = 64 * 1024 * 1024
"""Bytes of all parts of XML, unpacked. zipfile gives no more of one than it declares."""

_MAX_ELEMENTS = 40_000
"""Of one part; several times what the characters need that a question has room for."""

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='heading 7'] => h6:fresh
p[style-name='heading 8'] => h6:fresh
p[style-name='heading 9'] => h6:fresh
comment-reference => sup
"""
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MAX_COLUMNS = 63
_MARKS = {"strong": "**", "em": "*", "s": "~~"}
_BLOCKS = frozenset({"p", "ul", "ol", "table", "dl", "dt", "dd", *(f"h{n}" for n in range(1, 7))})


def text_of_document(data: bytes, max_characters: int) -> str:
    """Raises ``NothingRead``, and what zipfile, the XML parser and mammoth raise."""
    _check_format(data)
    package, is_cut = _beginning(data)
    picture = mammoth.images.img_element(lambda image: {})
    found = mammoth.convert_to_html(package, style_map=_STYLES, convert_image=picture)
    root = fromstring(f"<body>{found.value}</body>")  # noqa: S314 - mammoth has escaped it
    if not "".join(root.itertext()).strip():
        has_pictures = root.find(".//img") is not None
        raise NothingRead(WhyUnread.ONLY_PICTURES if has_pictures else WhyUnread.NO_TEXT)
    text = _shown(root)
    if is_cut and len(text) < max_characters:
        text += "\n\n[Only the beginning of the document is here.]"
    if any("/math}" in message.message for message in found.messages):
        text += "\n\n[The formulas of the document are left out.]"
    return text


def _check_format(data: bytes) -> None:
    """What else is found under the name; a zip without a document is found later."""
    if not data.strip(b"\0 \r\n"):
        raise NothingRead(WhyUnread.EMPTY)
    if data.startswith(_COMPOUND_FILE) and _ENCRYPTED in data:
        raise NothingRead(WhyUnread.LOCKED)
    is_open_document = b"mimetypeapplication/vnd.oasis." in data[:100]
    if data.startswith((_COMPOUND_FILE, b"{\\rtf")) or is_open_document:
        raise NothingRead(WhyUnread.OTHER_FORMAT)


def _beginning(data: bytes) -> tuple[io.BytesIO, bool]:
    """A package of the beginnings of all parts of XML, and whether one of them was longer."""
    kept, is_cut = io.BytesIO(), False
    with ZipFile(io.BytesIO(data)) as package, ZipFile(kept, "w") as beginning:
        parts = [each for each in package.infolist() if each.filename.endswith((".xml", ".rels"))]
        if sum(part.file_size for part in parts) > _MAX_SIZE:
            raise NothingRead(WhyUnread.TOO_MUCH)
        for part in parts:
            with package.open(part) as file:
                root, is_part_cut = _first_elements(file)
            beginning.writestr(part.filename, tostring(root, "utf-8"))
            is_cut = is_cut or is_part_cut
    return kept, is_cut


def _first_elements(file: IO[bytes]) -> tuple[Element, bool]:
    """expat opens no other file, and ends where entities grow beyond measure."""
    parsing = iterparse(file, events=["start"])  # noqa: S314 - in a bounded process
    elements = (element for _, element in parsing)
    root = next(elements)
    is_cut = any(number >= _MAX_ELEMENTS for number, _ in enumerate(elements, 2))
    return root, is_cut


def _shown(element: Element) -> str:
    return "\n\n".join(_blocks(element))


def _blocks(element: Element) -> Iterator[str]:
    """Its paragraphs, lists and tables, and what stands between them."""
    line = element.text or ""
    for child in element:
        if child.tag in _BLOCKS:
            yield from filter(None, (line.strip(), _block(child)))
            line = child.tail or ""
        else:
            line += _inline(child) + (child.tail or "")
    yield from filter(None, [line.strip()])


def _block(element: Element) -> str:
    match element.tag:
        case "ul" | "ol":
            return "\n".join(_items(element))
        case "table":
            return _table(element)
        case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
            title = " ".join(_shown(element).replace("**", "").split())
            return title and f"{'#' * int(element.tag[1])} {title}"
    return _shown(element)


def _items(element: Element) -> Iterator[str]:
    """Of a list, or of the notes of the document."""
    for number, item in enumerate(element, 1):
        is_note = item.get("id", "").startswith(("footnote-", "endnote-"))
        ordered = f"[^{number}]:" if is_note else f"{number}."
        mark = ordered if element.tag == "ol" else "-"
        text = "\n".join(_blocks(item))
        yield f"{mark} {text}".replace("\n", "\n" + " " * (len(mark) + 1))


def _table(element: Element) -> str:
    """With the first row as its head; one of a single column is a frame around what it holds."""
    rows = list(_rows(element))
    width = max(map(len, rows), default=0)
    if width < 2:
        return "\n\n".join(cell for row in rows for cell in row if cell)
    lines = [_row(row + [""] * (width - len(row))) for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _row(cells: list[str]) -> str:
    shown = (cell.replace("|", "\\|").replace("\n\n", "\n").replace("\n", "<br>") for cell in cells)
    return f"| {' | '.join(shown)} |"


def _rows(table: Element) -> Iterator[list[str]]:
    """A cell that spans rows stands in each; of one that spans columns the others are empty."""
    spanned: dict[tuple[int, int], str] = {}
    rows = [row for child in table for row in ([child] if child.tag == "tr" else child)]
    for number, row in enumerate(rows):
        cells: list[str] = []
        for cell in row:
            while (number, len(cells)) in spanned:
                cells.append(spanned.pop((number, len(cells))))
            text, start = _shown(cell), len(cells)
            cells += [text] + [""] * (min(int(cell.get("colspan", "1")), _MAX_COLUMNS) - 1)
            for below in range(number + 1, number + int(cell.get("rowspan", "1"))):
                spanned |= {(below, column): cells[column] for column in range(start, len(cells))}
        while (number, len(cells)) in spanned:
            cells.append(spanned.pop((number, len(cells))))
        yield cells


def _inline(element: Element) -> str:
    inner = _words(element)
    match element.tag:
        case "br":
            return "\n"
        case "img":
            return (
                f"[Picture: {' '.join(alt.split())}]"
                if (alt := element.get("alt"))
                else "[Picture]"
            )
        case "input":
            return "[x]" if element.get("checked") else "[ ]"
        case "a":
            return _link(element, inner)
        case "sup" | "sub" if not inner.startswith("["):
            return f"<{element.tag}>{inner}</{element.tag}>"
        case "strong" | "em" | "s" if inner.strip():
            mark, bare = _MARKS[element.tag], inner.strip()
            return inner.replace(bare, f"{mark}{bare}{mark}", 1)
    return inner


def _words(element: Element) -> str:
    parts = (_inline(child) + (child.tail or "") for child in element)
    return (element.text or "") + "".join(parts)


def _link(element: Element, label: str) -> str:
    """To an address outside; from a note back to its place there is none."""
    address = element.get("href", "")
    if element.get("id", "").startswith(("footnote-ref-", "endnote-ref-")):
        return f"[^{label.strip('[]')}]"
    if address.startswith(("http://", "https://", "mailto:")) and label.strip():
        return label if address.removeprefix("mailto:") == label else f"[{label}]({address})"
    return "" if label == "↑" else label
