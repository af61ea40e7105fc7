"""Which encoding a text file has: by its mark, as UTF-8, else by the letters that come out.

Files of a line or two say little: several encodings give text without a flaw. charset-normalizer
finds those that do; the one whose letters are those of a language wins.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from charset_normalizer import from_bytes
from charset_normalizer.constant import FREQUENCIES

from bot.documents.unread import NothingRead, WhyUnread

_MIN_READABLE = 0.9
"""The share of characters that must be readable; less of them is no text."""

_MIN_READABLE_AS_IT_IS = 0.99
"""Where the encoding is unknown: a stray byte in a long log."""

_MIN_LIKENESS = 0.6
"""The share of letters that must belong to the language that a reading is taken for."""

_NUM_JUDGED = 20_000
"""Bytes or characters by which a file is judged."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_ENCODINGS = """
    cp1252 cp1250 iso8859_2 cp1254 cp1257 cp1251 koi8_r cp866 cp1253 cp1255 cp1256 cp874 cp850
    mac_roman cp932 euc_jp gb18030 big5 cp949
"""
_AS_IN_BROWSERS = {
    "ascii": "cp1252",
    "iso8859_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5hkscs": "big5",
}
_BEYOND_ASCII = re.compile("[^\\x00-\\x7f]")
_FINAL = frozenset("ךםןףץς")
_SYMBOLS = frozenset("±÷¢¥‹›™“”‘’„‚–—…€£§°«»·•¡¿©®×½²³µ№、。，；：？！（）「」『』【】《》・\u3000")


class NotText(Exception):
    """The bytes are no text in any encoding that is known here."""


def text_of_file(data: bytes) -> str:
    """Raises ``NotText`` and ``NothingRead``."""
    text = decoded(data)
    if not text.strip():
        raise NothingRead(WhyUnread.EMPTY)
    return text


def decoded(data: bytes, declared: str = "") -> str:
    """``declared``: the encoding that a page names, which may be wrong. Raises ``NotText``."""
    codec = _codec(declared)
    for read in (_by_mark, _as_utf8, partial(_as_declared, codec), _as_utf16, _by_letters):
        text = read(data)
        if text is not None and is_readable(text):
            return text
    text = data.decode(codec or "utf-8", "replace")
    if _readable_share(text) < _MIN_READABLE_AS_IT_IS:
        raise NotText
    return text


def is_readable(text: str) -> bool:
    return _readable_share(text) >= _MIN_READABLE


def _readable_share(text: str) -> float:
    """Of the characters at the beginning; 1.0 for no text at all."""
    head = text[:_NUM_JUDGED]
    num_readable = sum(each.isprintable() or each in "\t\n\r\f\x1b\u3000\xa0" for each in head)
    return (num_readable - head.count("\ufffd")) / len(head) if head else 1.0


def _by_mark(data: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _whole(data, encoding).removeprefix("\ufeff")
    return None


def _whole(data: bytes, encoding: str) -> str:
    """Without a character that is cut off at the end."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(data)


def _as_utf8(data: bytes) -> str | None:
    """Also where a few bytes are broken, or the last character is cut off."""
    if b"\x00" in data:
        return None
    if b"\x1b$" in data:
        return data.decode("iso2022_jp", "replace")
    text = _whole(data, "utf-8")
    num_broken = text.count("\ufffd")
    num_good = sum(not each.isascii() for each in text) - num_broken
    is_cut = not text.isascii() or len(text) == len(data)
    return text if is_cut and num_broken * 20 <= num_good else None


def _as_utf16(data: bytes) -> str | None:
    """Without a mark: one of the two orders gives the letters of a language."""
    best = max((_whole(data, each) for each in ("utf-16-le", "utf-16-be")), key=_sense)
    return best if _sense(best) > _MIN_LIKENESS else None


def _sense(text: str) -> float:
    """The share of characters that are plain ASCII or belong to one language."""
    head = text[:_NUM_JUDGED].replace("\x00", "\ufffd")
    num_plain = sum(each.isascii() for each in head)
    return (num_plain + (len(head) - num_plain) * _likeness(head)[0]) / max(1, len(head))


def _codec(declared: str) -> str:
    """As browsers take the name; empty for one that is unknown, or for no text."""
    try:
        name = codecs.lookup(declared).name.replace("-", "_")
    except (LookupError, ValueError):
        return ""
    name = _AS_IN_BROWSERS.get(name, name)
    return name if name.startswith("iso8859_") or name in _ENCODINGS.split() else ""


def _as_declared(codec: str, data: bytes) -> str | None:
    """If the letters that come out are those of a language."""
    text = data.decode(codec, "replace") if codec else ""
    first = _BEYOND_ASCII.search(text)
    return (
        text if first and _likeness(text[max(0, first.start() - 1) :])[0] > _MIN_LIKENESS else None
    )


def _by_letters(data: bytes) -> str | None:
    known = _ENCODINGS.split()
    if b"\x00" in data:
        return None
    found = from_bytes(_head(data), cp_isolation=known, threshold=0.2, enable_fallback=False)
    readings = [
        (_likeness(str(each)), -known.index(name), name)
        for each in found
        for name in each.could_be_from_charset
    ]
    (likeness, _), _, encoding = max(readings, default=((0.0, 0), 0, ""))
    return data.decode(encoding, "replace") if likeness > _MIN_LIKENESS else None


def _head(data: bytes) -> bytes:
    """From before what is not ASCII to a byte that is part of no longer character."""
    if len(data) <= _NUM_JUDGED:
        return data
    first = re.search(rb"[\x80-\xff]", data)
    data = data[max(0, first.start() - 100) :] if first else data
    end = max(data.rfind(each, 0, _NUM_JUDGED) for each in (b"\n", b" ", b","))
    return data[: end + 1] or data


class _Letter(NamedTuple):
    """``is_in_word``: another letter stands beside it; ``is_mixed``: one of ASCII does."""

    letter: str
    is_in_word: bool
    is_mixed: bool
    is_last: bool


def _letters(text: str) -> Iterator[_Letter]:
    """The characters beyond ASCII, each with what stands beside it."""
    padded = f" {text} "
    for number, each in enumerate(text):
        if not each.isascii():
            after = padded[number + 2]
            beside = [c for c in (padded[number], after) if c.isalpha()]
            is_mixed = any(c.isascii() for c in beside)
            yield _Letter(each.lower(), bool(beside), is_mixed, not after.isalpha())


def _likeness(text: str) -> tuple[float, int]:
    """The share of what is not ASCII that is of one language, and minus that one's rank."""
    letters = Counter(_letters(text[:_NUM_JUDGED]))
    size = max(1, letters.total())
    totals = (
        sum(num * language.worth(each) for each, num in letters.items()) for language in _LANGUAGES
    )
    return max((round(total / size, 3), -rank) for rank, total in enumerate(totals))


@dataclass(frozen=True, slots=True)
class _Alphabet:
    """Of a language that is written with accents, among letters of ASCII.

    ``share``: of its worth; less for the letters of several languages.
    """

    letters: str
    share: float = 1.0

    def worth(self, found: _Letter) -> float:
        if found.letter in _SYMBOLS:
            return 1.0 if found.letter == "’" else 0.65 if found.is_mixed else 0.8
        if found.letter not in self.letters:
            return 0.0
        return self.share * (1.0 if found.is_mixed else 0.7)


@dataclass(frozen=True, slots=True)
class _Script:
    """Of a language with letters of its own: ``letters`` by how common they are."""

    letters: str

    def worth(self, found: _Letter) -> float:
        if found.letter in _SYMBOLS:
            return 0.8
        is_other = ord(found.letter[0]) >> 8 != ord(self.letters[0]) >> 8
        if is_other or found.is_mixed or (found.letter in _FINAL and not found.is_last):
            return 0.0
        place = self.letters.find(found.letter)
        worth = 0.5 if place < 0 else 1.0 - 0.4 * place / len(self.letters)
        return worth if found.is_in_word else 0.7 * worth


@dataclass(frozen=True, slots=True)
class _Characters:
    """Many characters: ``common`` ones, and those whose first byte in ``codec`` is everyday.

    These old sets are sorted so: what is in everyday use first. ``kana``: they stand in it, too.
    """

    codec: str
    everyday: range
    common: frozenset[str]
    kana: bool = False

    def worth(self, found: _Letter) -> float:
        letter = found.letter
        if letter in _SYMBOLS:
            return 0.8
        if letter in self.common or (self.kana and "\u3041" <= letter <= "\u30fe"):
            return 1.0
        if self.kana and "\uff66" <= letter <= "\uff9f":
            return 0.6
        try:
            return 0.8 if letter.encode(self.codec)[0] in self.everyday else 0.1
        except UnicodeEncodeError:
            return 0.0


_LATIN = """
    äöüß àâæçéèêëîïôœùûü áéíñóúü àáâãçéêíóôõú åäæéöø àèéìíòóù àçèéíïòóúü âçğıi̇îöşûü
    ąćęłńóśźż áčďéěíňóřšťúůýž áéíóöőúüű áðéíóöúýþæ áäčďéíĺľňóôŕšťúýž ćčđšž âăîşţșț
    ąčęėįšųūž āčēģīķļņšūž äõöšüž
"""
_WESTERN = "àáâãäåæçèéêëìíîïñòóôõöøùúûüœß"
_CENTRAL = "áâăäąćçčďđéęëěíîĺľłńňóôőöŕřśšşťţúůűüýźżž"
_SCRIPTS = "Russian Ukrainian Bulgarian Serbian Greek Hebrew Arabic Farsi Thai"
_CHINESE = (
    "订单号金额姓名日期价格数量公司址电话北京海市省区县元请先保存文件系统户密码错误无法连接服务器信息据管"
    "理部门产品客合同项目备注类型状态编总计字测试问题解决案重新启脑手机网络语言李王张刘陈杨赵黄周吴您谢吗明华军伟芳娜"
)
_KOREAN = (
    "그스나아제정수들일부보전원장국상주여구동있공과조교세경선만비신성안위해산유소관계적연생방문무실발진음"
    "중분용미내양행드와운모치물요개오니화마습했된것게라간되면우명재당강반출업회체영식민현금등각입역학두말더"
    "씨번권김박최글오류데터"
)
_LANGUAGES: tuple[_Alphabet | _Script | _Characters, ...] = (
    *(_Alphabet(each) for each in _LATIN.split()),
    _Alphabet(_WESTERN, share=0.75),
    _Alphabet(_CENTRAL, share=0.7),
    *(_Script("".join(FREQUENCIES[name])) for name in _SCRIPTS.split()),
    _Characters(
        "euc_jp", range(0xB0, 0xD0), frozenset("".join(FREQUENCIES["Japanese"])), kana=True
    ),
    _Characters("gb2312", range(0xB0, 0xD8), frozenset(FREQUENCIES["Chinese"] + [*_CHINESE])),
    _Characters("euc_kr", range(0xB0, 0xC9), frozenset(FREQUENCIES["Korean"] + [*_KOREAN])),
    _Characters("big5", range(0xA4, 0xC7), frozenset(FREQUENCIES["Chinese"])),
)
"""The likeliest reading of a doubtful file first."""
