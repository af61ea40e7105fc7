"""Places as columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_

from bot.history.schema import threads
from bot.types import Place


def channel_columns(place: Place) -> dict[str, str]:
    return {"adapter": place.adapter, "workspace": place.workspace, "channel": place.channel}


def thread_columns(place: Place) -> dict[str, str]:
    return {**channel_columns(place), "thread": place.thread}


def channel_is(table: Table, place: Place) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in channel_columns(place).items()))


def thread_is(place: Place) -> ColumnElement[bool]:
    return and_(*(threads.c[name] == value for name, value in thread_columns(place).items()))


def of(row: Row[Any]) -> Place:
    return Place(row.adapter, row.workspace, row.channel, row.thread)
