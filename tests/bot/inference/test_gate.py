"""One model computes at a time, in the order of asking."""

from __future__ import annotations

import threading

from bot.inference.gate import Gate


def test_who_asked_first_goes_first_and_nobody_beside() -> None:
    gate, order, inside, most = Gate(), list[int](), 0, 0
    asked = [threading.Event() for _ in range(6)]

    def work(number: int) -> None:
        nonlocal inside, most
        asked[number].set()
        with gate:
            inside += 1
            most = max(most, inside)
            order.append(number)
            inside -= 1

    with gate:
        threads = []
        for number in range(6):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            asked[number].wait()
            while gate.num_waiting <= number:
                pass
    for thread in threads:
        thread.join()
    assert order == list(range(6))
    assert most == 1


def test_a_step_that_fails_opens_the_gate_all_the_same() -> None:
    gate = Gate()
    try:
        with gate:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with gate:
        assert gate.num_waiting == 0
