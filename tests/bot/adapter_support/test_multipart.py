"""Forms as browsers and programs send them."""

from __future__ import annotations

import pytest

from bot.adapter_support.multipart import FormPart, parts_of
from bot.errors import RequestError

TYPE = "multipart/form-data; boundary=xyz"


def form(*parts: bytes) -> bytes:
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + b"--xyz--\r\n"


def a_file(filename: str, data: bytes = b"data") -> bytes:
    head = f'Content-Disposition: form-data; name="files"; filename="{filename}"'
    return f"{head}\r\nContent-Type: text/x-python\r\n\r\n".encode() + data


def test_fields_and_files_come_in_their_order() -> None:
    field = b'Content-Disposition: form-data; name="text"\r\n\r\nWhat is this?\nAnd why?'
    assert list(parts_of(TYPE, form(field, a_file("a.py", b"\r\n\x00\xff--xy\r\n")))) == [
        FormPart("text", None, "text/plain", b"What is this?\nAnd why?"),
        FormPart("files", "a.py", "text/x-python", b"\r\n\x00\xff--xy\r\n"),
    ]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("Größe.pdf", "Größe.pdf"),
        ("日本語.txt", "日本語.txt"),
        ("%22cited%22.md", '"cited".md'),
        ("100%25.md", "100%25.md"),
        ("", ""),
    ],
)
def test_a_file_has_the_name_that_it_has_on_the_sender_s_disk(sent: str, name: str) -> None:
    (part,) = parts_of(TYPE, form(a_file(sent)))
    assert part.filename == name


@pytest.mark.parametrize("body", [b"", b"nothing of a form", form(), b"--xyz\r\nhalf a part"])
def test_what_has_no_whole_part_has_none(body: bytes) -> None:
    assert list(parts_of(TYPE, body)) == []


def test_a_form_without_a_boundary_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="names no boundary"):
        list(parts_of("multipart/form-data", form()))
