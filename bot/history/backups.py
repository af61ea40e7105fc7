"""Copies of the database, made while Parley runs, and rid of what people have forgotten.

The copies of which Parley knows lie beside the database or in the folder ``backups`` there. A
copy that is being made may hold what is forgotten meanwhile, so one lock goes round both.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from bot.chats import ADAPTER as CHATS
from bot.errors import DataError, StorageError, StorageFull
from bot.history.database import BUSY_TIMEOUT, at_work
from bot.types import Place

APPLICATION_ID = 0x5061726C
"""``Parl``, in the header of every database of ours (``PRAGMA application_id``)."""

FOLDER = "backups"
_MAX_AUTOMATIC = 3
_BEFORE = "before"
_PARTIAL = ".partial"
_MAGIC, _ID_AT = b"SQLite format 3\0", 68
_NOT_DATABASES = ("-wal", "-shm", "-journal")
_THREAD = "DELETE FROM threads WHERE adapter = ? AND workspace = ? AND channel = ? AND thread = ?"
_EMPTY_THREADS = (
    "DELETE FROM threads WHERE (personality IS NULL OR adapter = ?) "
    "AND id NOT IN (SELECT thread_id FROM turns) AND id NOT IN (SELECT thread_id FROM remarks)"
)

Statement = tuple[str, tuple[str, ...]]


class Backups:
    """The copies of the database at ``path``. All methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.parent / FOLDER

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """No copy is begun or under way meanwhile, in any process."""
        file = self._path.with_name(f"{self._path.name}.lock")
        lock = FileLock(file, mode=0o600, thread_local=False)
        try:
            lock.acquire()
        except OSError as error:
            raise StorageError(f"{file} cannot be written: {error.strerror}.") from error
        try:
            yield
        finally:
            lock.release()

    def make(self, target: Path | None, now: datetime, *, before: str = "") -> Path:
        """Write a compact copy and return where it is. Raises ``DataError``.

        ``target``: a new file, or a folder; the folder of backups if None. ``before``: the
        schema to which Parley migrates next; of such copies the last few are kept.
        """
        if not self._path.is_file():
            raise DataError(f"There is no history at {self._path}: nothing is there to back up.")
        try:
            made = self._name(target, now, before)
            with self.at_rest():
                _copy(self._path, made)
        except StorageError as error:
            raise DataError(error.detail) from error
        if before:
            for old in sorted(self._folder.glob(f"*-{_BEFORE}-*.db"))[:-_MAX_AUTOMATIC]:
                old.unlink(missing_ok=True)
        return made

    def forget(self, place: Place) -> None:
        """Delete the thread in every copy. ``StorageError`` if one cannot be changed.

        What was owed when a copy was made may have become this thread, and was answered since.
        """
        of_place = (place.adapter, place.workspace, place.channel, place.thread)
        self._delete([(_THREAD, of_place), ("DELETE FROM owed", ())])

    def prune(self, before: datetime) -> None:
        """Delete what ``SqlThreadStore.prune`` deletes. ``StorageError``: see ``forget``."""
        moment = (before.strftime("%Y-%m-%d %H:%M:%S.%f"),)
        self._delete(
            [
                ("DELETE FROM turns WHERE finished_at < ?", moment),
                ("DELETE FROM remarks WHERE turn_seq IS NULL AND said_at < ?", moment),
                (_EMPTY_THREADS, (CHATS,)),
                ("DELETE FROM usage WHERE asked_at < ?", moment),
                ("DELETE FROM owed WHERE noted_at < ?", moment),
            ]
        )

    def of_schema(self, schema: str | None) -> Path | None:
        """The newest copy in the folder of backups that has this schema."""
        name = re.compile(rf"{re.escape(self._path.stem)}-\w+-{schema}(-{_BEFORE}-\w+)?\.db")
        return max(filter(lambda file: name.fullmatch(file.name), self._copies()), default=None)

    def _name(self, target: Path | None, now: datetime, before: str) -> Path:
        if target is not None and not target.is_dir():
            return target
        if target is None:
            self._make_folder()
        time = f"{now:%Y%m%dT%H%M%SZ}"
        ending = f"-{_BEFORE}-{before}" if before else ""
        name = f"{self._path.stem}-{time}-{_schema_of(self._path)}{ending}.db"
        return (target or self._folder) / name

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self._folder} cannot be made: {error.strerror}.") from error

    def _delete(self, statements: Sequence[Statement]) -> None:
        for folder in (self._path.parent, self._folder):
            for partial in folder.glob(f".*.db{_PARTIAL}"):
                partial.unlink(missing_ok=True)
        for copy in self._copies():
            try:
                with at_work(copy), closing(_open(copy)) as connection:
                    _delete(connection, statements)
            except StorageError as error:
                raise StorageError(
                    f"{copy} may hold what was to be forgotten, and cannot be changed "
                    f"({error.detail.rstrip('.')}). Delete it."
                ) from error

    def _copies(self) -> Iterator[Path]:
        """The databases of ours beside this one, which is never opened here.

        Closing it again would take away the locks that SQLite has on it in this process.
        """
        for folder in (self._path.parent, self._folder):
            for file in sorted(folder.iterdir()) if folder.is_dir() else ():
                is_other = file.is_file() and not self._is_this(file)
                if is_other and not file.name.endswith(_NOT_DATABASES) and _is_database(file):
                    yield file

    def _is_this(self, file: Path) -> bool:
        return file == self._path or (self._path.exists() and file.samefile(self._path))


def _copy(path: Path, target: Path) -> None:
    """``target`` never names half of a copy, and no file that is there is replaced."""
    if target.exists():
        raise DataError(f"{target} exists already; name a new file for the backup.")
    partial = target.with_name(f".{target.name}{_PARTIAL}")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        _vacuum_into(path, partial)
        _name_it(partial, target)
    except StorageFull as error:
        raise DataError(f"There is no room for the backup {target}; make some first.") from error
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _vacuum_into(path: Path, partial: Path) -> None:
    with at_work(path), closing(_open(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(partial),))
    with partial.open("rb") as file:
        os.fsync(file.fileno())


def _name_it(partial: Path, target: Path) -> None:
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # this file system knows no links
        partial.rename(target)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _schema_of(path: Path) -> str:
    with at_work(path), closing(_open(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _delete(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    """And write the file anew if something was there: then nothing is left in it."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    before = connection.total_changes
    connection.execute("BEGIN IMMEDIATE")
    for sql, values in statements:
        if sql.split()[2] in tables:
            connection.execute(sql, values)
    connection.execute("COMMIT")
    if connection.total_changes != before:
        connection.execute("VACUUM")


def _is_database(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(_ID_AT + 4)
    except OSError:
        return False
    return head[:16] == _MAGIC and int.from_bytes(head[_ID_AT:]) == APPLICATION_ID
