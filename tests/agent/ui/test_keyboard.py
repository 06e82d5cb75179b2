from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.ui.keyboard import CONFIRM_S, KeyCommands
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


@pytest.fixture
def keys(run: FakeRun) -> KeyCommands:
    return KeyCommands(run.commands, run.clock.now)


def press_and_wait(key: str, keys: KeyCommands) -> None:
    thread = keys(key)
    assert thread is not None
    thread.join()


def test_key_does_its_command(run: FakeRun, keys: KeyCommands) -> None:
    press_and_wait("p", keys)
    assert run.pauses.paused
    press_and_wait("R", keys)
    assert not run.pauses.paused
    press_and_wait("s", keys)
    assert run.board.saved(1)
    assert keys("q") is None
    press_and_wait("q", keys)
    assert run.stop.reason == "key q"


def test_one_q_asks_for_another(run: FakeRun, keys: KeyCommands) -> None:
    for key in "quick":
        assert keys(key) is None
    assert "press q again" in run.commands.messages[-1][1]
    keys("q")
    run.clock.advance(CONFIRM_S)
    assert keys("q") is None
    assert run.stop.reason is None


@pytest.mark.parametrize("key", ["x", "\x1b", " ", ""])
def test_other_keys_have_no_command(key: str, keys: KeyCommands) -> None:
    assert keys(key) is None


def test_failed_command_is_a_message(run: FakeRun, keys: KeyCommands) -> None:
    run.trainer.saves = False
    press_and_wait("s", keys)
    assert "nothing was saved" in run.commands.messages[-1][1]


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")
@pytest.mark.parametrize("ending", ["well", "fail"])
def test_keys_are_read_one_by_one_until_the_terminal_is_restored(ending: str) -> None:
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
        single = termios.ICANON | termios.ECHO
        assert not termios.tcgetattr(theirs)[3] & single
        os.write(ours, b"p")
        assert reader.stdout.readline() == "key p\n"
        # A shell does this between Ctrl-Z and fg.
        reader.send_signal(signal.SIGSTOP)
        termios.tcsetattr(theirs, termios.TCSANOW, before)
        reader.send_signal(signal.SIGCONT)
        while termios.tcgetattr(theirs)[3] & single:
            assert reader.poll() is None
        os.write(ours, b"q")
        assert reader.stdout.readline() == "key q\n"
    assert reader.returncode == 0
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
