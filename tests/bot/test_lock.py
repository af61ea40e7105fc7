from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import DataError
from bot.lock import DataLock, is_held, running_key, running_url

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from bot.lock import DataLock
with DataLock(Path(sys.argv[1])) as lock:
    lock.announce("http://127.0.0.1:1", "key-1")
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def end(holder: subprocess.Popen[str], number: signal.Signals) -> None:
    os.kill(holder.pid, number)
    holder.communicate(timeout=20)


def test_the_lock_makes_the_folder_for_its_user_only(tmp_path: Path) -> None:
    with DataLock(tmp_path / "a" / "data"):
        assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700


def test_while_one_process_holds_the_folder_others_are_told_where_it_answers(
    tmp_path: Path,
) -> None:
    holder = start_holder(tmp_path)
    try:
        assert is_held(tmp_path)
        assert running_url(tmp_path) == "http://127.0.0.1:1"
        with pytest.raises(DataError, match=r"Parley runs already at http://127.0.0.1:1 with"):
            DataLock(tmp_path).__enter__()
    finally:
        end(holder, signal.SIGTERM)


def test_a_killed_process_holds_the_folder_no_longer(tmp_path: Path) -> None:
    end(start_holder(tmp_path), signal.SIGKILL)
    assert not is_held(tmp_path)
    with DataLock(tmp_path):
        assert running_url(tmp_path) is None, "the address of the killed one is forgotten"
        assert running_key(tmp_path) is None


def test_the_address_is_gone_when_the_lock_is_left(tmp_path: Path) -> None:
    with DataLock(tmp_path) as lock:
        lock.announce("http://127.0.0.1:2", "key-2")
        assert running_url(tmp_path) == "http://127.0.0.1:2"
        assert running_key(tmp_path) == "key-2"
    assert running_url(tmp_path) is None
    assert running_key(tmp_path) is None
    assert not is_held(tmp_path)


def test_the_key_is_for_the_eyes_of_its_user_only(tmp_path: Path) -> None:
    left_behind = tmp_path / "parley.key.new"
    left_behind.touch()
    left_behind.chmod(0o666)
    with DataLock(tmp_path) as lock:
        lock.announce("http://127.0.0.1:2", "key-2")
        assert (tmp_path / "parley.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parley.lock"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file is a file, .*; move it away or choose"):
        DataLock(tmp_path / "file").__enter__()
    assert not is_held(tmp_path / "file")


def test_looking_at_a_folder_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_locked_is_no_running_parley(tmp_path: Path) -> None:
    (tmp_path / "parley.lock").mkdir()  # nobody can lock that, not even root
    assert not is_held(tmp_path)
    (tmp_path / "parley.url").write_text("http://127.0.0.1:1")
    assert is_held(tmp_path), "it says where it is"
