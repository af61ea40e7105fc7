"""Where answers go: a file that a second run goes on with, or a stream."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from bot.cli.batch.questions import BatchQuestion, Id
from bot.errors import ParleyError, StartError

Record = Mapping[str, Any]


_BEGINNINGS = (b'{"id": ', b'{"custom_id": ')


class Sink(Protocol):
    """``missing``: the questions that have no answer yet."""

    missing: Sequence[BatchQuestion]

    def put(self, question: BatchQuestion, record: Record) -> None: ...
    def close(self) -> None:
        """All answers are in their order."""
        ...


class StreamSink:
    """Answers on stdout, each when those before it have been written."""

    def __init__(self, questions: Sequence[BatchQuestion]) -> None:
        self.missing = questions
        self._order = iter([question.id for question in questions])
        self._next = next(self._order, None)
        self._waiting: dict[Id, Record] = {}

    def put(self, question: BatchQuestion, record: Record) -> None:
        self._waiting[question.id] = record
        while self._next in self._waiting:
            sys.stdout.write(_line(self._waiting.pop(self._next)))
            self._next = next(self._order, None)
        sys.stdout.flush()

    def close(self) -> None:
        pass


class FileSink:
    """Answers are appended as they come, so that none is lost, and put in order at the end.

    A line that was cut off, an answer to a question that reads otherwise now, and one that failed
    are dropped at the beginning. Raises ``StartError`` for a file that holds anything else.
    """

    def __init__(self, path: Path, questions: Sequence[BatchQuestion]) -> None:
        self._path = path.resolve()
        self._questions = questions
        self._records = self._kept()
        self.missing: Sequence[BatchQuestion] = [
            each for each in questions if each.id not in self._records
        ]
        try:
            self._write_all()
            self._file: BinaryIO = self._path.open("ab", buffering=0)
        except OSError as error:
            raise StartError(f"{path} cannot be written: {error.strerror}.") from None

    def put(self, question: BatchQuestion, record: Record) -> None:
        self._records[question.id] = record
        try:
            self._file.write(_line(record).encode())
        except OSError as error:
            raise self._unwritten(error) from None

    def close(self) -> None:
        self._file.close()
        try:
            self._write_all()
        except OSError as error:
            raise self._unwritten(error) from None

    def _unwritten(self, error: OSError) -> ParleyError:
        return ParleyError(
            f"{self._path} cannot be written: {error.strerror}; "
            "the same command goes on where this ends."
        )

    def _kept(self) -> dict[Id, Record]:
        texts = {question.id: question.text for question in self._questions}
        return {
            given: record
            for given, record in self._read()
            if "text" in record and texts.get(given, record["question"]) == record["question"]
        }

    def _read(self) -> list[tuple[Id, Record]]:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StartError(f"{self._path} cannot be read: {error.strerror}.") from None
        *whole, last = lines
        records = [self._record(line) for line in whole]
        if last:  # of a run that was killed
            try:
                records.append(self._record(last))
            except StartError:
                if not records and not any(each.startswith(last[:7]) for each in _BEGINNINGS):
                    raise
        return records

    def _record(self, line: bytes) -> tuple[Id, Record]:
        try:
            record = json.loads(line)
            given = record.get("id", record.get("custom_id"))
            is_ours = "question" in record and ("text" in record or "error" in record)
        except (ValueError, AttributeError):
            given, is_ours = None, False
        if given is None or not is_ours:
            raise StartError(f"{self._path} holds something else; choose another --output.")
        return given, record

    def _write_all(self) -> None:
        """In the order of the questions; answers to others come last. All or nothing."""
        order = {question.id: number for number, question in enumerate(self._questions)}
        ids = sorted(self._records, key=lambda each: order.get(each, len(order)))
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            with draft.open("wb") as file:
                file.writelines(_line(self._records[each]).encode() for each in ids)
            if self._path.exists():
                shutil.copymode(self._path, draft)
            os.replace(draft, self._path)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def sink_of(path: Path | None, questions: Sequence[BatchQuestion]) -> Sink:
    if path is None:
        return StreamSink(questions)
    if path.exists() and not path.is_file():
        raise StartError(f"{path} is no file; leave --output out to write to stdout.")
    return FileSink(path, questions)


def _line(record: Record) -> str:
    return f"{json.dumps(record, ensure_ascii=False)}\n"
