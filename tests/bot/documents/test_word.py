"""A document of Word reaches the model as the Markdown that a person would write of it."""

from __future__ import annotations

import asyncio
import io
from zipfile import ZipFile

import pytest

from bot.attachments.attachments import FileKind, why_unread
from bot.documents.document import DocumentKind
from bot.documents.reader import DocumentReader, Unreadable
from tests.bot.documents.documents import (
    PICTURE,
    cell,
    document,
    item,
    paragraph,
    relation,
    run,
    table,
    zipped,
)

NOTES = (
    '<w:footnote w:id="2"><w:p><w:r><w:footnoteRef/></w:r>'
    f"{run(' Without tax.')}</w:p></w:footnote>"
)
COMMENTS = (
    '<w:comment w:id="0" w:author="Ada Byron" w:initials="AB">'
    f"{paragraph('Is that enough?')}</w:comment>"
)
FORMULA = "<m:oMath><m:r><m:t>E=mc</m:t></m:r></m:oMath>"
TEXT_BOX = (
    "<w:r><mc:AlternateContent><mc:Choice/><mc:Fallback><w:pict><v:shape><v:textbox>"
    f"<w:txbxContent>{paragraph('In a box.')}</w:txbxContent>"
    "</v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
)
FIELD = (
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    '<w:r><w:instrText> HYPERLINK "https://b.example" </w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
    f'{run("there")}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
)


async def read(data: bytes, max_characters: int = 10_000) -> str:
    return (await DocumentReader().read(data, DocumentKind.DOCX, max_characters)).text


async def refused(data: bytes) -> str:
    with pytest.raises(Unreadable) as refusal:
        await read(data)
    return why_unread(refusal.value, "plan.docx", FileKind.DOCX)


async def test_headings_have_their_level_in_a_word_of_any_language() -> None:
    body = (
        paragraph("Plan", "Titel")
        + paragraph(run("Goals", "<w:b/>"), "berschrift1")
        + paragraph("Costs", "berschrift2")
        + paragraph("Details", "berschrift7")
        + paragraph("Text.")
    )
    assert await read(document(body)) == "# Plan\n\n# Goals\n\n## Costs\n\n###### Details\n\nText."


async def test_lists_are_nested_and_numbered() -> None:
    body = (
        item("Fruit")
        + item("Apples", 1)
        + item("Sort them", 2, numbered=True)
        + item("Weigh them", 2, numbered=True)
        + item("Pears", 1)
        + item("Bread")
        + paragraph("And:")
        + item("One", numbered=True)
        + item("Two", numbered=True)
    )
    assert await read(document(body)) == (
        "- Fruit\n  - Apples\n    1. Sort them\n    2. Weigh them\n  - Pears\n- Bread\n\n"
        "And:\n\n1. One\n2. Two"
    )


async def test_a_table_is_a_table_and_a_merged_cell_stands_in_each_of_its_rows() -> None:
    joined = '<w:vMerge w:val="{}"/>'
    body = table(
        ("Region", cell("2026", '<w:gridSpan w:val="2"/>')),
        (cell("North", joined.format("restart")), "a|b", cell(item("x") + item("y"))),
        (cell("<w:p/>", joined.format("continue")), "3", cell(paragraph("c") + paragraph("d"))),
        ("South", "4"),
    )
    assert (await read(document(body))).split("\n") == [
        "| Region | 2026 |  |",
        "| --- | --- | --- |",
        "| North | a\\|b | - x<br>- y |",
        "| North | 3 | c<br>d |",
        "| South | 4 |  |",
    ]


async def test_a_table_of_one_column_is_a_frame_around_what_it_holds() -> None:
    body = table((cell(paragraph("Note", "berschrift1") + table(("a", "b"))),), ("",))
    assert await read(document(body)) == "# Note\n\n| a | b |\n| --- | --- |"


async def test_links_lead_outside_and_those_within_the_document_are_words() -> None:
    links = relation("rId7", "hyperlink", "https://a.example/x?y=1&amp;z=2")
    body = paragraph(
        f'{run("See ")}<w:hyperlink r:id="rId7">{run("this")}</w:hyperlink>{run(", ")}{FIELD}'
        f'{run(" and ")}<w:hyperlink w:anchor="_Toc1">{run("below")}</w:hyperlink>{run(".")}'
    )
    assert await read(document(body, relations=links)) == (
        "See [this](https://a.example/x?y=1&z=2), [there](https://b.example) and below."
    )


async def test_notes_and_comments_stand_at_the_end_with_their_marks_in_the_text() -> None:
    body = paragraph(
        run("It costs 42")
        + '<w:r><w:footnoteReference w:id="2"/></w:r>'
        + run(" euros")
        + '<w:r><w:commentReference w:id="0"/></w:r>'
    )
    assert await read(document(body, footnotes=NOTES, comments=COMMENTS)) == (
        "It costs 42[^1] euros[AB1]\n\n[^1]: Without tax.\n\nComment [AB1]\n\nIs that enough?"
    )


async def test_tracked_changes_are_read_as_if_all_were_accepted() -> None:
    deleted = "<w:r><w:delText>forty</w:delText></w:r>"
    body = paragraph(
        run("It costs ")
        + f'<w:del w:id="1">{deleted}</w:del><w:ins w:id="2">{run("fifty")}</w:ins>'
        + run(" euros.")
    )
    assert await read(document(body)) == "It costs fifty euros."


async def test_marks_that_carry_meaning_stay() -> None:
    body = paragraph(
        run("Not ", "<w:b/>")
        + run("now", "<w:strike/>")
        + run(", x")
        + run("2", '<w:vertAlign w:val="superscript"/>')
        + "<w:r><w:br/><w:t>and</w:t></w:r>"
    )
    assert await read(document(body)) == "**Not** ~~now~~, x<sup>2</sup>\nand"


async def test_text_boxes_form_fields_and_pictures_are_in_their_places() -> None:
    tick = (
        '<w:sdt xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"><w:sdtPr>'
        '<w14:checkbox><w14:checked w14:val="1"/></w14:checkbox></w:sdtPr>'
        f"<w:sdtContent>{run('☒')}</w:sdtContent></w:sdt>"
    )
    body = (
        f"<w:sdt><w:sdtContent>{paragraph('Cover')}</w:sdtContent></w:sdt>"
        + paragraph(run("Before. ") + TEXT_BOX)
        + paragraph(tick + run(" agreed"))
        + paragraph(PICTURE.format(alt="Our new\nhouse"))
    )
    shown = "Cover\n\nBefore.\n\nIn a box.\n\n[x] agreed\n\n[Picture: Our new house]"
    assert await read(document(body)) == shown


async def test_that_formulas_are_left_out_is_said() -> None:
    text = await read(document(paragraph(run("Einstein: ") + FORMULA)))
    assert text == "Einstein:\n\n[The formulas of the document are left out.]"


async def test_of_a_long_document_the_beginning_is_read_and_that_is_said() -> None:
    row = ("a", "b", "c", "d")
    data = document(paragraph("First.") + table(*[row] * 10_000) + paragraph("Last."))
    text = await read(data, 1_000_000)
    assert text.startswith("First.\n\n| a | b | c | d |\n| --- | --- | --- | --- |\n| a | b |")
    assert text.endswith("\n\n[Only the beginning of the document is here.]")
    assert "Last." not in text


@pytest.mark.parametrize("body", ["", paragraph("<w:r/>"), paragraph("  "), table(("", ""))])
async def test_a_document_of_nothing_is_said_to_be_empty(body: str) -> None:
    assert await refused(document(body)) == "plan.docx holds no text that I can read."


async def test_a_document_of_pictures_only_is_said_to_be_that() -> None:
    sentence = "plan.docx holds only pictures, which I cannot see, and no text."
    assert await refused(document(paragraph(PICTURE.format(alt="")))) == sentence


LETTER = paragraph("Dear Ada, this is the plan.")
ENCRYPTED = (
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000) + "EncryptedPackage".encode("utf-16le")
)
WORD_97 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000) + "WordDocument".encode("utf-16le")
BROKEN = "plan.docx is damaged or no Word document; please save it anew as .docx or PDF."
OTHER = "I cannot read the format of plan.docx; please save it as .docx or PDF."


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "plan.docx is empty."),
        (ENCRYPTED, "plan.docx is locked with a password; please attach a copy without one."),
        (WORD_97, OTHER),
        (b"{\\rtf1\\ansi Hello}", OTHER),
        (zipped({"mimetype": "application/vnd.oasis.opendocument.text"}), OTHER),
        (document(LETTER)[:-400], BROKEN),
        (document(LETTER)[:100], BROKEN),
        (document(LETTER).replace(b"word/", b"wart/"), BROKEN),
        (document(LETTER + "<w:p>"), BROKEN),
        (zipped({"xl/workbook.xml": "<workbook/>"}), BROKEN),
        (b"Just some text.", BROKEN),
        (b"<html><body>Saved by a web site.</body></html>", BROKEN),
    ],
)
async def test_what_is_no_document_is_refused_with_what_to_do(data: bytes, told: str) -> None:
    assert await refused(data) == told


async def test_a_document_with_macros_is_read_without_them() -> None:
    data = document(LETTER).replace(b"media/image1.png", b"vbaProject.bin//")
    assert await read(data) == "Dear Ada, this is the plan."


LAUGHS = "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 12))


async def test_entities_that_grow_beyond_measure_are_refused() -> None:
    head = f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]>'
    assert await refused(document(paragraph("&a11;"), head=head)) == BROKEN


async def test_no_other_file_is_opened_whatever_the_document_asks_for() -> None:
    head = '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    outside = relation("rIdOut", "image", "file:///etc/passwd")
    picture = PICTURE.format(alt="").replace('r:embed="rIdPicture"', 'r:link="rIdOut"')
    shown = await read(document(LETTER + paragraph(picture), relations=outside))
    assert shown == "Dear Ada, this is the plan.\n\n[Picture]"
    with pytest.raises(Unreadable):
        await read(document(paragraph("&file;"), head=head))


async def test_parts_that_unpack_to_very_much_are_not_unpacked() -> None:
    bomb = await asyncio.to_thread(zipped, dict.fromkeys(("a.xml", "b.xml"), " " * 33 * 1024**2))
    assert await refused(bomb) == (
        "plan.docx takes too much to read; please attach the part that matters."
    )


async def test_a_part_is_not_unpacked_beyond_the_size_that_it_tells() -> None:
    honest = document(LETTER + paragraph("x" * 70_000))
    size = ZipFile(io.BytesIO(honest)).getinfo("word/document.xml").file_size
    lying = honest.replace(size.to_bytes(4, "little"), (500).to_bytes(4, "little"))
    assert await refused(lying) == BROKEN


@pytest.mark.parametrize("inner", ["<w:tbl><w:tr><w:tc>", "<w:p><w:r><w:pict><w:txbxContent>"])
async def test_a_document_that_nests_without_end_is_refused(inner: str) -> None:
    deep = inner * 9_000
    assert await refused(document(deep + paragraph("x")))


async def test_a_million_paragraphs_are_read_as_far_as_there_is_room() -> None:
    data = await asyncio.to_thread(lambda: document(LETTER + paragraph("More.") * 700_000))
    text = await read(data, 100)
    assert text.startswith("Dear Ada, this is the plan.\n\nMore.\n\nMore.")
