"""Which personality people chose, for a thread or for a whole channel."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from bot.history import places
from bot.history.schema import channels, threads
from bot.types import Place


def personality(connection: Connection, place: Place) -> str | None:
    """The thread's, else the channel's."""
    of_thread = select(threads.c.personality).where(places.thread_is(place))
    of_channel = select(channels.c.personality).where(places.channel_is(channels, place))
    return connection.scalar(of_thread) or connection.scalar(of_channel)


def set_for_thread(connection: Connection, place: Place, name: str | None) -> None:
    if name is None:
        thread = update(threads).where(places.thread_is(place))
        connection.execute(thread.values(personality=None))
        return
    columns = places.thread_columns(place)
    made = insert(threads).values(**columns, personality=name)
    connection.execute(
        made.on_conflict_do_update(index_elements=list(columns), set_={"personality": name})
    )


def set_for_channel(connection: Connection, place: Place, name: str | None) -> None:
    if name is None:
        connection.execute(delete(channels).where(places.channel_is(channels, place)))
        return
    columns = places.channel_columns(place)
    made = insert(channels).values(**columns, personality=name)
    connection.execute(
        made.on_conflict_do_update(index_elements=list(columns), set_={"personality": name})
    )
