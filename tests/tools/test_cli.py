from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C ends a process as on POSIX")
@pytest.mark.parametrize(
    "name", ["agent.ctl", "agent.check", "tools.import_videos", "tools.player"]
)
def test_program_interrupted_while_it_loads_ends_with_one_line(name: str, tmp_path: Path) -> None:
    # Imported by each of them, and found first.
    (tmp_path / "argparse.py").write_text("raise KeyboardInterrupt")
    search = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", name]
    ended = subprocess.run(command, cwd=tmp_path, env=search, capture_output=True, text=True)
    assert ended.stderr == "Stopped.\n"
    assert ended.returncode == -signal.SIGINT
