"""Text in the encodings that people's programs save, down to a line of it."""

from __future__ import annotations

import os

import pytest

from bot.documents.decoding import NotText, decoded

WESTERN = (
    "Jürgen;Köln",
    "Müller, Straße 5, Düsseldorf",
    "Die Gebühr beträgt 12 € für größere Änderungen.",
    "Name;Ort\nJürgen;Köln\nBärbel;Münster\nSören;Lübeck\n",
    "Où est le café près de l'hôtel ?",
    "Ça coûte 3 €, s’il vous plaît – merci.",
    "Il va à Paris",
    "¿Dónde está la niña? ¡Mañana será año nuevo!",
    "Peña;España",
    "Não há informações sobre a situação.",
    "João;São Paulo",
    "Räksmörgås på Åland",
    "Göran;Malmö",
    "It’s 25°C today",
    "Price;£5",
    "© 2020 Acme",
    "Temperature: 25°C ±0.5\nPrice: £3.50\n",
    "De coördinatie is geïnspireerd.",
    "Rødgrød med fløde på øen",
    "Hyvää päivää, mitä kuuluu?",
    "Perché no? È così, caffè e città.",
    "Jürgen;José;Zoë;Søren;François;Måns;João",
)
SENTENCES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("cp1252",), WESTERN),
    (("cp850",), ("Jürgen;Köln", "Müller, Straße 5, Düsseldorf")),
    (("mac_roman",), ("Jürgen;Köln", "Die Gebühr beträgt 12 € für größere Änderungen.")),
    (("cp1250", "iso8859_2"), ("Zażółć gęślą jaźń", "Łódź;Kraków;Gdańsk")),
    (("cp1250",), ("Příliš žluťoučký kůň úpěl ďábelské ódy", "Jiří;Plzeň")),
    (("cp1250",), ("Árvíztűrő tükörfúrógép",)),
    (("cp1254",), ("Şişli'de yağmur yağıyor, güneş yok.", "İstanbul;Beyoğlu")),
    (("cp1251", "koi8_r", "cp866"), ("Иванов;Москва", "Съешь ещё этих булок, да выпей чаю.")),
    (
        ("cp1251",),
        (
            "Error: файл не найден",
            "Добър ден, как сте?",
            "Да",
            "Привіт, як справи? Їжак і ґудзик.",
            "Київ;Львів",
        ),
    ),
    (("cp1253",), ("Αθήνα;Θεσσαλονίκη", "Η γρήγορη καφέ αλεπού πηδάει πάνω από το σκυλί.")),
    (("cp1255",), ("שלום עולם", "מה שלומך היום? הכול בסדר.")),
    (("cp1256",), ("مرحبا بالعالم", "كيف حالك اليوم؟ كل شيء على ما يرام.")),
    (("cp874",), ("สวัสดีชาวโลก", "วันนี้อากาศดีมาก เราไปเที่ยวกันเถอะ")),
    (
        ("cp932", "euc_jp", "iso2022_jp"),
        ("田中;東京", "こんにちは、世界。", "商品名,価格\nりんご,120\nバナナ,90\n"),
    ),
    (("gb18030",), ("订单号,金额\n1001,￥25.00\n", "错误：无法连接到服务器", "李明")),
    (("gb18030",), ("你好，世界", "张伟;北京", "请先保存文件，然后重新启动电脑。")),
    (("big5",), ("你好，世界", "陳大文;臺北", "請先儲存檔案，然後重新啟動電腦。")),
    (
        ("cp949",),
        (
            "안녕하세요 세계",
            "김철수;서울",
            "회의 자료를 확인해 주세요.",
            "주문번호,금액\n1001,25000원\n",
        ),
    ),
)
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
ENGLISH = "The budget is 42 pounds.\n"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [(name, text) for names, texts in SENTENCES for name in names for text in texts],
)
def test_a_sentence_is_read_in_the_encodings_of_its_language(encoding: str, text: str) -> None:
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", UNICODE)
@pytest.mark.parametrize("text", [ENGLISH, *(text for _, texts in SENTENCES for text in texts)])
def test_unicode_is_read_with_and_without_its_mark(encoding: str, text: str) -> None:
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("encoding", "line"), [("cp932", "今日は会議があります。\n"), ("cp1252", "Größe\n")]
)
def test_a_long_file_is_read_to_its_end(encoding: str, line: str) -> None:
    assert decoded((line * 50_000).encode(encoding)) == line * 50_000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("你好，世界".encode()[:-1], "你好，世"),
        ("Größe für".encode() * 20 + b"\xff", "Größe für" * 20),
        (b"a line of a log\n" * 20 + b"\xff\n", "a line of a log\n" * 20),
        ("Grüße".encode("utf-16")[:-1], "Grüß"),
    ],
)
def test_a_file_with_a_broken_end_is_read_up_to_it(data: bytes, text: str) -> None:
    assert decoded(data).rstrip("\ufffd\n") == text.rstrip("\n")


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 4,
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(90, 200)),
        b"\x7fELF\x02\x01\x01" + bytes(40),
        b"\x1f\x8b\x08\x00\xc0\xa8\x12\x66\x02\xff" + os.urandom(500),
        b"\x01\x02\x03\x04\x05\x06",
        "\u0378\u0379\ue000".encode() * 9,
    ],
)
def test_what_is_no_text_is_not_read_as_some(data: bytes) -> None:
    with pytest.raises(NotText):
        decoded(data)
