from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tools.cli import let_children_heed_signals, make_parser


def test_interrupted_tool_prints_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    make_parser(None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "Stopped.\n"
    sys.excepthook(ValueError, ValueError("wrong"), None)
    assert "ValueError: wrong" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX")
def test_children_heed_a_signal_that_is_ignored_here() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        let_children_heed_signals()
        code = "import os, signal; os.kill(os.getpid(), signal.SIGHUP)"
        ended = subprocess.run([sys.executable, "-c", code], check=False)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ended.returncode == -signal.SIGHUP


def test_tool_that_the_system_refuses_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    make_parser(None)
    error = OSError(30, "Read-only file system", "film.mp4")
    sys.excepthook(OSError, error, None)
    assert capsys.readouterr().err == "error: film.mp4: Read-only file system\n"
