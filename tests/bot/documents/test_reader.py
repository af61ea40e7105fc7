"""Files are read in a process of their own, which may fail, hang or be killed."""

from __future__ import annotations

import asyncio
import io
import sys
import zlib

import pytest
from pypdf import PdfReader, PdfWriter

from bot.attachments.attachments import FileKind, why_unread
from bot.documents.document import DocumentKind
from bot.documents.reader import DocumentReader, Unreadable


def shown(text: str) -> bytes:
    return f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()


def pdf(content: bytes, coding: bytes = b"", *, pictures: bool = False) -> bytes:
    """A page with this content; ``/Im1`` is a picture of one pixel."""
    picture = b"/XObject << /Im1 6 0 R >>" if pictures else b""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> %s >> >>" % picture,
        b"<< %s/Length %d >>\nstream\n%s\nendstream" % (coding, len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray "
        b"/BitsPerComponent 8 /Length 1 >>\nstream\n\x00\nendstream",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start


async def test_text_is_read_in_any_usual_encoding() -> None:
    reader = DocumentReader()
    assert (await reader.read("Grüße".encode(), DocumentKind.TEXT, 100)).text == "Grüße"
    assert (await reader.read("Grüße".encode("utf-16"), DocumentKind.TEXT, 100)).text == "Grüße"


async def test_a_pdf_gives_the_text_of_its_pages() -> None:
    file = pdf(shown("The budget is 42."))
    assert (await DocumentReader().read(file, DocumentKind.PDF, 100)).text == "The budget is 42."


async def test_of_a_pdf_of_very_many_pages_the_first_are_read_and_that_is_said() -> None:
    page, writer = PdfReader(io.BytesIO(pdf(shown("Page.")))).pages[0], PdfWriter()
    for _ in range(201):
        writer.add_page(page)
    file = io.BytesIO()
    writer.write(file)
    text = (await DocumentReader().read(file.getvalue(), DocumentKind.PDF, 10_000)).text
    assert text.count("Page.") == 200
    assert text.endswith("\n\n[Only the first 200 pages are here.]")


async def test_no_more_than_was_asked_for_comes_back() -> None:
    assert (await DocumentReader().read(b"x" * 1000, DocumentKind.TEXT, 10)).text == "x" * 10


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x00\x01\x02", DocumentKind.TEXT),
        (b"no pdf at all", DocumentKind.PDF),
        (b"%PDF-1.4\ntrailer << /Root 1 0 R >>", DocumentKind.PDF),
        (b"", DocumentKind.PDF),
    ],
)
async def test_what_is_not_of_its_kind_is_unreadable(data: bytes, kind: DocumentKind) -> None:
    with pytest.raises(Unreadable):
        await DocumentReader().read(data, kind, 100)


async def test_a_file_made_to_fill_the_memory_ends_its_own_process_only() -> None:
    bomb = await asyncio.to_thread(zlib.compress, b"\x00" * (300 * 1024 * 1024), 1)
    with pytest.raises(Unreadable):
        await DocumentReader().read(pdf(bomb, b"/Filter /FlateDecode "), DocumentKind.PDF, 100)


async def test_a_file_that_takes_too_long_is_given_up_and_that_is_said() -> None:
    with pytest.raises(Unreadable) as refusal:
        await DocumentReader(seconds=0.0).read(b"x", DocumentKind.TEXT, 10)
    told = why_unread(refusal.value, "a.log", FileKind.TEXT)
    assert told == "a.log takes too much to read; please attach the part that matters."


@pytest.mark.parametrize(
    "trick", ["socket.create_connection(('127.0.0.1', 9))", "os.system('true')", "os.fork()"]
)
async def test_what_reads_a_document_opens_no_connection_and_starts_no_process(trick: str) -> None:
    script = f"import os, socket; from bot.documents.child import _bound; _bound(); {trick}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    assert b"PermissionError" in told


async def test_many_files_at_once_are_all_read() -> None:
    reader = DocumentReader()
    texts = await asyncio.gather(*(reader.read(b"%d" % n, DocumentKind.TEXT, 9) for n in range(5)))
    assert [each.text for each in texts] == ["0", "1", "2", "3", "4"]
