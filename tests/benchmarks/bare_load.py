"""The load of ``chat_load`` on the bare loop, in one process and without HTTP.

Takes the same arguments (``url`` is ``bare``) and prints the same JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from bot.generation import ChatMessage, Role
from bot.inference.llama.options import KVLayout
from tests.benchmarks import chat_load
from tests.benchmarks.bare_threads import Asked, BareThreads
from tests.benchmarks.chat_load import Json, Message
from tests.benchmarks.endless import options


def burst(loop: BareThreads, a: argparse.Namespace) -> Json:
    begun = time.perf_counter()
    asked = [
        _asked(i, chat_load.burst_messages(a.seed, i, a.prompt_words)) for i in range(a.concurrency)
    ]
    replies = loop.serve(asked, at_once=a.concurrency, max_tokens=a.max_tokens)
    wall = time.perf_counter() - begun
    return chat_load.summary(replies, wall, {"scenario": "burst", "c": a.concurrency})


def threads(loop: BareThreads, a: argparse.Namespace) -> Json:
    histories = [chat_load.opening_of_a_thread() for _ in range(a.threads)]
    begun, turns = time.perf_counter(), []
    for turn in range(a.turns):
        order = chat_load.order_of_turn(turn, a.threads)
        for i in order:
            histories[i].append(chat_load.turn_message(a.seed, i, turn, a.prompt_words))
        asked = [_asked(i, histories[i]) for i in order]
        replies = loop.serve(asked, at_once=a.concurrency, max_tokens=a.max_tokens)
        for i, reply in zip(order, replies, strict=True):
            histories[i].append({"role": "assistant", "content": reply.text or "ok"})
        turns.append(replies)
    wall = time.perf_counter() - begun
    seats = {"parked": loop.seats.num_parked, "restored": loop.seats.num_restored}
    out = chat_load.summary([reply for turn in turns for reply in turn], wall, seats)
    return {**out, **chat_load.by_turn(turns)}


def _asked(thread: int, messages: Sequence[Message]) -> Asked:
    said = [ChatMessage(cast(Role, each["role"]), each["content"]) for each in messages]
    return f"t{thread}", said


def main() -> None:
    arguments = chat_load.parser().parse_args()
    scenario = burst if arguments.scenario == "burst" else threads
    loop = BareThreads(replace(options(max_running=16), kv_layout=KVLayout.UNIFIED))
    print(json.dumps({"label": arguments.label, **scenario(loop, arguments)}))
    loop.close()


if __name__ == "__main__":
    main()
