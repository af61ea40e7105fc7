from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bot.inference import threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells and places threads")


def test_each_computing_thread_gets_a_core_of_its_own_and_nobody_else_is_moved() -> None:
    cores = sorted(os.sched_getaffinity(0))
    done = threading.Event()

    def compute() -> tuple[bool, list[set[int]]]:
        before = threads.ids()
        helpers = [threading.Thread(target=done.wait) for _ in cores[1:]]
        for helper in helpers:
            helper.start()
        spread = threads.spread(threads.ids() - before)
        where = [os.sched_getaffinity(h.native_id or 0) for h in helpers]
        done.set()
        return spread, [os.sched_getaffinity(0), *where]

    with ThreadPoolExecutor(1) as worker:
        spread, where = worker.submit(compute).result()
    assert spread == (len(cores) > 1)
    assert not spread or where == [{core} for core in cores]
    assert sorted(os.sched_getaffinity(0)) == cores


def test_fewer_threads_than_cores_are_left_to_the_system() -> None:
    assert not threads.spread(set())
