"""The whole system, for real, in small: its own processes, signals and files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.ctl import ask
from agent.osc.ports import bind_tcp
from agent.run_dir import CHECKPOINTS, ERROR_LOG, METRICS, SUMMARY, TRAINER_LOG
from pamiq_lightning.checkpoint.store import trainer_lock
from tests.conftest import wait_until

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "agent.run", "conf=debug", "trainer.aim=false", *arguments]


def run(folder: Path, *arguments: str, limit: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(f"runs={folder}", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=limit,
    )


def run_folder(runs: Path) -> Path:
    (folder,) = (runs / "debug").iterdir()
    return folder


def summary(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_folder(runs) / SUMMARY).read_text())
    return found


def timeless(runs: Path) -> list[dict[str, Any]]:
    """Return all metrics but those that measure time."""
    lines = (run_folder(runs) / METRICS).read_text().splitlines()
    timed = ("time", "rate_hz", "tick_ms", "latency_ms", "missed")
    return [
        {key: value for key, value in json.loads(line).items() if not key.startswith(timed)}
        for line in lines
    ]


def test_lockstep_runs_of_one_seed_log_the_same_metrics(tmp_path: Path) -> None:
    for name in ("a", "b"):
        result = run(tmp_path / name, "clock=lockstep", "seed=1", "steps=160", "device=cpu")
        assert result.returncode == 0, result.stderr
    first, second = timeless(tmp_path / "a"), timeless(tmp_path / "b")
    assert first == second
    found = summary(tmp_path / "a")
    assert found["rollouts_filled"] == 5 and found["rollouts_dropped"] == 0
    for role in ("encoder", "dynamics", "policy"):
        assert found["learners"][role]["rollouts"] == 5
        assert found["learners"][role]["version_in_use"] == 6


def test_world_failure_is_reported_and_a_summary_written(tmp_path: Path) -> None:
    process = start(tmp_path, stderr=subprocess.PIPE)
    (world,) = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if any("realtime_process" in word for word in child.cmdline())
    ]
    world.kill()
    _, error = process.communicate()
    assert process.returncode == 1
    (line,) = [text for text in error.splitlines() if text.startswith("error:")]
    assert "Traceback" not in error
    found = summary(tmp_path)
    assert found["exit_code"] == 1 and found["ended"] in line
    assert "Traceback" in (run_folder(tmp_path) / ERROR_LOG).read_text()
    assert (run_folder(tmp_path) / CHECKPOINTS / "policy.ckpt").is_file()


def test_summary_is_printed_where_it_cannot_be_written(tmp_path: Path) -> None:
    process = start(tmp_path, stderr=subprocess.PIPE)
    # A folder in its way refuses a file as a full disk does.
    (run_folder(tmp_path) / SUMMARY / "full").mkdir(parents=True)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate()
    assert process.returncode == 1
    (line,) = [text for text in error.splitlines() if text.startswith("error:")]
    assert "summary.json cannot be written" in line and "Traceback" not in error
    printed = json.loads(output[output.index("{\n") :])
    assert printed["ended"] == "SIGINT" and printed["exit_code"] == 0


def test_run_ends_when_its_folder_is_renamed_and_saves_nothing_into_another(tmp_path: Path) -> None:
    process = start(tmp_path, stderr=subprocess.PIPE)
    folder = run_folder(tmp_path)
    folder.rename(tmp_path / "renamed")
    folder.mkdir()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    (line,) = [text for text in error.splitlines() if text.startswith("error:")]
    assert str(folder) in line and "was removed or renamed" in line
    assert "Traceback" not in error
    assert not [*folder.iterdir()]
    assert not (tmp_path / "renamed" / SUMMARY).exists()


def test_interrupt_before_the_first_tick_leaves_no_run_folder(tmp_path: Path) -> None:
    process = subprocess.Popen(
        # Printed before torch is loaded.
        command(f"runs={tmp_path}", "world=auto"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DISPLAY": "", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("World:")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert "Traceback" not in error
    assert process.returncode == 0, error
    assert not list(tmp_path.glob("debug/*"))


def start(runs: Path, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """Start a run and return when it acts."""
    process = subprocess.Popen(
        command(f"runs={runs}", "steps=100000"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Run folder"):
            break
    return process


def test_second_interrupt_ends_the_run_at_once(tmp_path: Path) -> None:
    process = start(tmp_path)
    others = psutil.Process(process.pid).children(recursive=True)
    # Stopped, the trainer cannot end by itself, so the first Ctrl-C would wait for it.
    trainer_of(tmp_path).suspend()
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert summary(tmp_path)["exit_code"] == 130
    _, left = psutil.wait_procs(others, timeout=30)
    assert not left


def test_ctl_stops_a_run(tmp_path: Path) -> None:
    def ctl() -> subprocess.CompletedProcess[str]:
        stop = [sys.executable, "-m", "agent.ctl", "stop", "--run", str(tmp_path)]
        return subprocess.run(stop, cwd=ROOT, capture_output=True, text=True, timeout=90)

    process = start(tmp_path)
    result = ctl()
    assert result.returncode == 0 and str(run_folder(tmp_path)) in result.stdout
    process.communicate()
    assert process.returncode == 0
    assert summary(tmp_path)["ended"] == "ctl"
    again = ctl()
    assert again.returncode == 1 and "no agent runs" in again.stderr


def trainer_of(runs: Path) -> psutil.Process:
    """Return the process that holds the lock of the run's trainer."""
    return psutil.Process(int(trainer_lock(run_folder(runs)).read_text()))


def test_killed_trainer_is_replaced_while_the_agent_acts(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    trainer_of(tmp_path).kill()
    lines = iter(process.stdout.readline, "")
    assert any("a new one starts in 0.25 s" in line for line in lines)
    # The learners train again.
    folder = run_folder(tmp_path)
    wait_until(lambda: ask(folder, "status")["learners"]["encoder"]["rollouts"] > 0)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0
    found = summary(tmp_path)
    assert found["trainer_restarts"] == 1
    assert found["learners"]["policy"]["version_in_use"] > 1
    assert "the trainer" not in (run_folder(tmp_path) / TRAINER_LOG).read_text()


def test_stop_signal_ends_every_process(tmp_path: Path) -> None:
    process = start(tmp_path)
    others = psutil.Process(process.pid).children(recursive=True)
    # Trainer, recorder, world.
    assert len(others) >= 3
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate()
    assert process.returncode == 0, rest
    assert summary(tmp_path)["ended"] == "SIGTERM"
    _, left = psutil.wait_procs(others, timeout=30)
    assert not left


IN_A_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("agent.run", run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")
def test_closed_terminal_ends_every_process_and_all_is_saved(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *command(f"runs={tmp_path}", "steps=100000")[3:]],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"Run folder" not in shown:
        shown += os.read(ours, 1024)
    others = psutil.Process(process.pid).children(recursive=True)
    os.close(ours)
    assert process.wait() == 0
    assert summary(tmp_path)["ended"] == "SIGHUP"
    assert (run_folder(tmp_path) / CHECKPOINTS / "policy.ckpt").is_file()
    _, left = psutil.wait_procs(others, timeout=30)
    assert not left


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_ctrl_c_ends_every_process_whatever_becomes_of_the_streams(tmp_path: Path) -> None:
    # No input, no errors, an output without Japanese, and its reader ended by the same Ctrl-C.
    runs, pipeline = tmp_path / "走る", 'trap : INT; "$@" <&- 2>&- | cat; echo "${PIPESTATUS[0]}"'
    process = subprocess.Popen(
        ["bash", "-c", pipeline, "bash", *command(f"runs={runs}", "steps=100000", "rate=30")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any(line.startswith("Run folder") for line in iter(process.stdout.readline, ""))
    others = psutil.Process(process.pid).children(recursive=True)
    wait_until(lambda: '"role": "encoder"' in (run_folder(runs) / METRICS).read_text())
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    assert output.splitlines()[-1] == "0"
    found = summary(runs)
    assert found["ended"] == "SIGINT" and found["learners"]["encoder"]["rollouts"] > 0
    _, left = psutil.wait_procs(others, timeout=30)
    assert not left
    assert (run_folder(runs) / TRAINER_LOG).stat().st_mode & 0o133 == 0


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["rate=0"], 2, ["rate=0"]),
        (["learners.policy.model.init_args.lr=fast"], 2, ["lr", "fast"]),
        (["learners.encoder.init_weights=README.md"], 2, ["README.md", "not a checkpoint"]),
        (["runs=/proc/nowhere"], 1, ["runs=/proc/nowhere", "cannot be written"]),
    ],
)
def test_invalid_input_prints_one_line_and_makes_no_folder(
    tmp_path: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    result = run(tmp_path, *arguments)
    assert result.returncode == code
    (line,) = [text for text in result.stderr.splitlines() if text.strip()]
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


def test_taken_port_is_reported_with_its_holder(tmp_path: Path) -> None:
    with bind_tcp("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        result = run(tmp_path, f"api_port={port}")
    assert result.returncode == 1
    (line,) = [text for text in result.stderr.splitlines() if text.startswith("error:")]
    assert f"TCP port {port} is taken by" in line
    assert not list(tmp_path.glob("debug/*"))
