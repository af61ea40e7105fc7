"""Documents as Word saves them, built part by part."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_OFFICE = "http://schemas.openxmlformats.org"
_W = f"{_OFFICE}/wordprocessingml/2006/main"
_R = f"{_OFFICE}/officeDocument/2006/relationships"
_NAMES = (
    f'xmlns:w="{_W}" xmlns:r="{_R}" xmlns:v="urn:schemas-microsoft-com:vml" '
    f'xmlns:m="{_OFFICE}/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    f'xmlns:wp="{_OFFICE}/drawingml/2006/wordprocessingDrawing" '
    f'xmlns:a="{_OFFICE}/drawingml/2006/main" xmlns:pic="{_OFFICE}/drawingml/2006/picture"'
)
_STYLES = "".join(
    f'<w:style w:type="paragraph" w:styleId="{style}"><w:name w:val="{name}"/></w:style>'
    for style, name in {
        "Titel": "Title",
        "berschrift1": "heading 1",
        "berschrift2": "heading 2",
        "berschrift7": "heading 7",
        "Listenabsatz": "List Paragraph",
    }.items()
)
_LEVELS = {1: "bullet", 2: "decimal"}
_NUMBERING = "".join(
    f'<w:abstractNum w:abstractNumId="{number}">'
    + "".join(f'<w:lvl w:ilvl="{level}"><w:numFmt w:val="{form}"/></w:lvl>' for level in range(3))
    + "</w:abstractNum>"
    for number, form in _LEVELS.items()
) + "".join(
    f'<w:num w:numId="{number}"><w:abstractNumId w:val="{number}"/></w:num>' for number in _LEVELS
)
PICTURE = (
    '<w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" descr="{alt}"/><a:graphic>'
    '<a:graphicData><pic:pic><pic:blipFill><a:blip r:embed="rIdPicture"/></pic:blipFill></pic:pic>'
    "</a:graphicData></a:graphic></wp:inline></w:drawing></w:r>"
)


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(content: str, style: str = "", properties: str = "") -> str:
    """``content``: words, or runs."""
    inner = content if content.startswith("<") else run(content)
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{properties}</w:pPr>{inner}</w:p>"


def item(text: str, level: int = 0, *, numbered: bool = False) -> str:
    number = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{1 + numbered}"/></w:numPr>'
    return paragraph(text, "Listenabsatz", number)


def cell(content: str, properties: str = "") -> str:
    inner = content if content.startswith("<w:") else paragraph(content)
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inner}</w:tc>"


def table(*rows: tuple[str, ...]) -> str:
    """Of cells, or the words in them."""
    shown = (
        "".join(each if each.startswith("<w:tc") else cell(each) for each in row) for row in rows
    )
    return f"<w:tbl><w:tblPr/>{''.join(f'<w:tr>{row}</w:tr>' for row in shown)}</w:tbl>"


def relation(name: str, kind: str, target: str, *, outside: bool = True) -> str:
    mode = ' TargetMode="External"' if outside else ""
    return f'<Relationship Id="{name}" Type="{_R}/{kind}" Target="{target}"{mode}/>'


def document(body: str, *, relations: str = "", head: str = "", **parts: str) -> bytes:
    """``parts``: the content of footnotes and comments. ``head``: of the body's part of XML."""
    main = f'{_OFFICE}/package/2006/relationships"'
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_OFFICE}/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{main}>'
        + relation("rId1", "officeDocument", "word/document.xml", outside=False)
        + "</Relationships>",
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{main}>'
        + relation("rIdPicture", "image", "media/image1.png", outside=False)
        + relations
        + "</Relationships>",
        "word/document.xml": f"{head}<w:document {_NAMES}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {_NAMES}>{_STYLES}</w:styles>",
        "word/numbering.xml": f"<w:numbering {_NAMES}>{_NUMBERING}</w:numbering>",
        "word/media/image1.png": "\x89PNG",
    }
    files |= {
        f"word/{name}.xml": f"<w:{name} {_NAMES}>{content}</w:{name}>"
        for name, content in parts.items()
    }
    return zipped(files)


def zipped(files: Mapping[str, str]) -> bytes:
    """An OpenDocument begins with its ``mimetype``, as it is. The same files are the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name, content in files.items():
            packing = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            package.writestr(zipfile.ZipInfo(name), content, packing)
    return file.getvalue()
