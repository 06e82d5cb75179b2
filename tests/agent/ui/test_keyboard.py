from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.ui.keyboard import press
from tests.agent.lifecycle.run_fixture import FakeRun
from tests.conftest import VirtualClock

READER = """
import sys, threading
from agent.ui.keyboard import Keys, can_read_keys
assert can_read_keys()
done = threading.Event()
def on_key(key):
    print("key", key, flush=True)
    if key == "q":
        done.set()
try:
    with Keys(on_key):
        print("ready", flush=True)
        done.wait(60)
        if sys.argv[1] == "fail":
            raise ArithmeticError
except ArithmeticError:
    pass
"""


@pytest.fixture
def run(tmp_path: Path, clock: VirtualClock) -> FakeRun:
    run = FakeRun(tmp_path, clock)
    run.begin()
    return run


def press_and_wait(key: str, run: FakeRun) -> None:
    thread = press(key, run.commands)
    assert thread is not None
    thread.join()


def test_key_does_its_command(run: FakeRun) -> None:
    press_and_wait("p", run)
    assert run.pauses.paused
    press_and_wait("R", run)
    assert not run.pauses.paused
    press_and_wait("s", run)
    assert run.board.saved(1)
    press_and_wait("q", run)
    assert run.stop.reason == "key q"


@pytest.mark.parametrize("key", ["x", "\x1b", " ", ""])
def test_other_keys_have_no_command(key: str, run: FakeRun) -> None:
    assert press(key, run.commands) is None


def test_failed_command_is_a_message(run: FakeRun) -> None:
    run.trainer.saves = False
    press_and_wait("s", run)
    assert "nothing was saved" in run.commands.messages[-1][1]


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")
@pytest.mark.parametrize("ending", ["well", "fail"])
def test_terminal_is_restored_after_an_exit_or_an_error(ending: str) -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    script = f"import os, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{READER}"
    with subprocess.Popen(
        [sys.executable, "-c", script, ending],
        stdin=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        # Keys come one by one, without Enter and without echo.
        assert not termios.tcgetattr(theirs)[3] & (termios.ICANON | termios.ECHO)
        for key in "pq":
            os.write(ours, key.encode())
            assert reader.stdout.readline() == f"key {key}\n"
    assert reader.returncode == 0
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
