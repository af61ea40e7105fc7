"""The index of a fact base: a file of SQLite that can be built anew at any time.

``words`` has the words of passages, ``trigrams`` the words of the whole base, each once, by which
those that are like a word of a question are found. What FTS5 gets are folded words between
spaces, so its tokenizers and ours agree. One process writes, others read what was there before.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from bot.errors import StartError
from bot.facts.folder import FileStamp
from bot.facts.passages import Passage
from bot.facts.words import words_of

_VERSION = 1
"""Of the tables, and of how text is cut and folded; an index of another one is built anew."""

_TABLES = """
    CREATE TABLE files (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, modified INTEGER NOT NULL,
        size INTEGER NOT NULL, inode INTEGER NOT NULL, unread TEXT
    );
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY, file INTEGER NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE INDEX passages_of_file ON passages (file);
    CREATE VIRTUAL TABLE words USING fts5(
        heading, text, content='', tokenize='unicode61 remove_diacritics 2'
    );
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row');
    CREATE VIRTUAL TABLE trigrams USING fts5(word, tokenize='trigram', detail='none');
"""
_LOCKED_SECONDS = 30.0
_MIN_TRIGRAM_LETTERS = 4
_MAX_TRIGRAM_LETTERS = 40


class IndexDamaged(Exception):
    """The file is no index of this version, or is damaged."""


class IndexedFile(NamedTuple):
    """``unread``: why it gave no text."""

    path: str
    stamp: FileStamp
    unread: str | None


def check_sqlite() -> None:
    """Raises ``StartError`` where SQLite lacks what an index needs."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE t USING fts5(word, tokenize='trigram')")
        except sqlite3.Error as error:
            raise StartError(
                f"Facts need SQLite 3.34 or later with FTS5, and this Python has "
                f"{sqlite3.sqlite_version} ({error}); use another build of Python, or take "
                "`facts` out of the personalities."
            ) from error


@contextmanager
def damage_told() -> Iterator[None]:
    """A fault of the file becomes ``IndexDamaged``; one that is only locked stays what it is."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "malformed" in str(error):
            raise IndexDamaged from error
        raise
    except sqlite3.DatabaseError as error:
        raise IndexDamaged from error


class IndexWriter:
    """The one that writes; ``path`` is made where it is missing."""

    def __init__(self, path: Path) -> None:
        """Raises ``IndexDamaged``."""
        self._connection = sqlite3.connect(path, timeout=_LOCKED_SECONDS, isolation_level=None)
        with damage_told():
            self._prepare()
            self._known = {word for (word,) in self._all("SELECT word FROM trigrams")}

    def _prepare(self) -> None:
        (version,) = self._one("PRAGMA user_version")
        (num_tables,) = self._one("SELECT count(*) FROM sqlite_master")
        if num_tables and version != _VERSION:
            raise IndexDamaged
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA cache_size = -65536")
        if not num_tables:
            self._connection.executescript(
                f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;"
            )
        if self._one("PRAGMA quick_check(1)") != ("ok",):
            raise IndexDamaged

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with damage_told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def files(self) -> dict[str, IndexedFile]:
        with damage_told():
            return {each.path: each for each in _files(self._connection)}

    def put(self, file: IndexedFile, passages: Iterable[Passage]) -> int:
        """In the place of what was there of that path; how many passages it has."""
        self.remove(file.path)
        row = (file.path, *file.stamp, file.unread)
        insert = "INSERT INTO files (path, modified, size, inode, unread) VALUES (?, ?, ?, ?, ?)"
        number = self._connection.execute(insert, row).lastrowid
        return sum(self._add(number, file.path, each) for each in passages)

    def _add(self, file: int | None, path: str, passage: Passage) -> int:
        heading = json.dumps(passage.heading, ensure_ascii=False)
        insert = "INSERT INTO passages (file, heading, text) VALUES (?, ?, ?)"
        number = self._connection.execute(insert, (file, heading, passage.text)).lastrowid
        above, words = heading_words(path, passage.heading), words_of(passage.text)
        self._connection.execute(
            "INSERT INTO words (rowid, heading, text) VALUES (?, ?, ?)",
            (number, " ".join(above), " ".join(words)),
        )
        self._learn({*above, *words})
        return 1

    def _learn(self, words: set[str]) -> None:
        new = words - self._known
        self._known |= new
        fit = ((word,) for word in new if _has_trigrams(word))
        self._connection.executemany("INSERT INTO trigrams (word) VALUES (?)", fit)

    def remove(self, path: str) -> None:
        found = self._all(
            "SELECT passages.id, heading, text FROM passages JOIN files ON files.id = file "
            "WHERE path = ?",
            path,
        )
        for number, heading, text in found:
            above = heading_words(path, json.loads(heading))
            self._connection.execute(
                "INSERT INTO words (words, rowid, heading, text) VALUES ('delete', ?, ?, ?)",
                (number, " ".join(above), " ".join(words_of(text))),
            )
            self._connection.execute("DELETE FROM passages WHERE id = ?", (number,))
        self._connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def optimize(self) -> None:
        """After many changes: one tree for all of them, which is faster to search."""
        with self.transaction():
            self._connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            self._connection.execute("INSERT INTO trigrams (trigrams) VALUES ('optimize')")
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _one(self, query: str) -> tuple[object, ...]:
        return tuple(self._connection.execute(query).fetchone())

    def _all(self, query: str, *values: object) -> list[Any]:
        return self._connection.execute(query, values).fetchall()


def heading_words(path: str, heading: Iterable[str]) -> list[str]:
    """Of a passage: those of its file's name and of the headings above it."""
    return words_of(" ".join((path.rpartition(".")[0], *heading)))


def _has_trigrams(word: str) -> bool:
    fits = _MIN_TRIGRAM_LETTERS <= len(word) <= _MAX_TRIGRAM_LETTERS
    return fits and word.isalpha()


def _files(connection: sqlite3.Connection) -> Iterator[IndexedFile]:
    query = "SELECT path, modified, size, inode, unread FROM files ORDER BY path"
    for path, modified, size, inode, unread in connection.execute(query):
        yield IndexedFile(path, FileStamp(modified, size, inode), unread)


class FoundPassage(NamedTuple):
    number: int
    path: str
    heading: tuple[str, ...]
    text: str


class IndexReader:
    """The index as it is now, beside the process that writes. Methods raise ``IndexDamaged``."""

    def __init__(self, path: Path) -> None:
        """Raises ``FileNotFoundError``, too."""
        if not path.exists():
            raise FileNotFoundError(path)
        with damage_told():
            uri = f"{path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)
            self._connection.execute("BEGIN")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            self._connection.close()
            raise IndexDamaged

    def close(self) -> None:
        self._connection.close()

    def files(self) -> list[IndexedFile]:
        with damage_told():
            return list(_files(self._connection))

    def nums_of_files(self) -> dict[str, int]:
        """How many passages each file has, by its path."""
        query = (
            "SELECT path, count(passages.id) FROM files LEFT JOIN passages ON file = files.id "
            "GROUP BY files.id ORDER BY path"
        )
        with damage_told():
            return dict(self._connection.execute(query).fetchall())

    def num_passages(self) -> int:
        with damage_told():
            (found,) = self._connection.execute("SELECT count(*) FROM passages").fetchone()
            return int(found)

    def nums_with(self, words: Collection[str]) -> dict[str, int]:
        """In how many passages each of these words stands, for those that stand in any."""
        query = (
            "SELECT json_group_object(term, doc) FROM vocabulary "
            "WHERE term IN (SELECT value FROM json_each(?))"
        )
        found: dict[str, int] = self._value(query, json.dumps(list(words)))
        return found

    def words_like(self, word: str, max_words: int) -> list[str]:
        """Words of the base that have four letters in a row of it, or its three; none for a word
        that is longer than those that are learned.
        """
        trigrams = [word[number : number + 3] for number in range(len(word) - 2)]
        pairs = [f"({_quoted([one])} AND {_quoted([other])})" for one, other in pairwise(trigrams)]
        if not trigrams or len(word) > _MAX_TRIGRAM_LETTERS:
            return []
        query = (
            "SELECT json_group_array(word) FROM "
            "(SELECT word FROM trigrams WHERE trigrams MATCH ? ORDER BY rank LIMIT ?)"
        )
        found: list[str] = self._value(query, " OR ".join(pairs) or _quoted(trigrams), max_words)
        return found

    def best(self, words: Iterable[str], max_passages: int) -> list[int]:
        """The numbers of the passages with these words that BM25 ranks first."""
        query = (
            "SELECT json_group_array(rowid) FROM (SELECT rowid FROM words WHERE words MATCH ? "
            "ORDER BY bm25(words, 2.0, 1.0) LIMIT ?)"
        )
        found: list[int] = self._value(query, _quoted(words), max_passages)
        return found

    def passages(self, numbers: Collection[int]) -> list[FoundPassage]:
        """In any order, without those that are gone."""
        query = (
            "SELECT json_group_array(json_array(passages.id, path, json(heading), text)) "
            "FROM passages JOIN files ON files.id = file "
            "WHERE passages.id IN (SELECT value FROM json_each(?))"
        )
        rows = self._value(query, json.dumps(list(numbers)))
        return [FoundPassage(row[0], row[1], tuple(row[2]), row[3]) for row in rows]

    def _value(self, query: str, *values: object) -> Any:
        """What a query gives as JSON: one row, since Python's lock is given up for each."""
        with damage_told():
            return json.loads(self._connection.execute(query, values).fetchone()[0])


def _quoted(words: Iterable[str]) -> str:
    """A query of FTS5 for any of them; nothing in a word is syntax."""
    return " OR ".join('"' + word.replace('"', '""') + '"' for word in words)
