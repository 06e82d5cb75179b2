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

from agent.osc.ports import bind_tcp

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
    found: dict[str, Any] = json.loads((run_folder(runs) / "summary.json").read_text())
    return found


def timeless(runs: Path) -> list[dict[str, Any]]:
    """Return all metrics but those that measure time."""
    lines = (run_folder(runs) / "metrics.jsonl").read_text().splitlines()
    timed = ("time", "rate_hz", "tick_ms", "latency_ms", "missed")
    return [
        {key: value for key, value in json.loads(line).items() if not key.startswith(timed)}
        for line in lines
    ]


def test_lockstep_with_one_seed_gives_one_run(tmp_path: Path) -> None:
    for name in ("a", "b"):
        result = run(tmp_path / name, "clock=lockstep", "seed=1", "steps=160", "device=cpu")
        assert result.returncode == 0, result.stderr
    first, second = timeless(tmp_path / "a"), timeless(tmp_path / "b")
    assert first == second
    told = summary(tmp_path / "a")
    assert told["rollouts_filled"] == 5 and told["rollouts_dropped"] == 0
    for role in ("encoder", "dynamics", "policy"):
        assert told["learners"][role]["rollouts"] == 5
        assert told["learners"][role]["version_in_use"] == 6


def test_a_failure_of_the_world_is_told_and_summed_up(tmp_path: Path) -> None:
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
    told = summary(tmp_path)
    assert told["exit_code"] == 1 and told["ended"] in line
    assert "Traceback" in (run_folder(tmp_path) / "error.log").read_text()
    assert (run_folder(tmp_path) / "checkpoints" / "policy.ckpt").is_file()


def test_a_summary_that_the_disk_refuses_is_printed_all_the_same(tmp_path: Path) -> None:
    process = start(tmp_path, stderr=subprocess.PIPE)
    # A folder in its way refuses a file as a full disk does.
    (run_folder(tmp_path) / "summary.part").mkdir()
    process.send_signal(signal.SIGINT)
    output, error = process.communicate()
    assert process.returncode == 1
    (line,) = [text for text in error.splitlines() if text.startswith("error:")]
    assert "summary.json cannot be written" in line and "Traceback" not in error
    told = json.loads(output[output.index("{\n") :])
    assert told["ended"] == "SIGINT" and told["exit_code"] == 0
    assert not (run_folder(tmp_path) / "agent.pid").exists()


def test_an_interrupt_before_the_first_tick_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        # Told before torch is loaded.
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
    """Start a life and return when it acts."""
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


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    process = start(tmp_path)
    others = psutil.Process(process.pid).children(recursive=True)
    # Stopped, the trainer cannot end by itself, so the first Ctrl-C would wait for it.
    trainer_of(process).suspend()
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert summary(tmp_path)["exit_code"] == 130
    _, left = psutil.wait_procs(others, timeout=30)
    assert not left


def test_it_can_be_stopped_from_another_terminal(tmp_path: Path) -> None:
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


def trainer_of(process: subprocess.Popen[str]) -> psutil.Process:
    (trainer,) = [p for p in psutil.Process(process.pid).children(recursive=True) if p.nice() == 19]
    return trainer


def test_a_killed_trainer_is_replaced_while_the_agent_acts_on(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    trainer_of(process).kill()
    lines = iter(process.stdout.readline, "")
    assert any("a new one starts in 0.25 s" in line for line in lines)
    # The learners train again: in some later line they have more windows than none.
    assert any("alive" in line and "encoder: 0 windows" not in line for line in lines)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0
    told = summary(tmp_path)
    assert told["trainer_restarts"] == 1
    assert told["learners"]["policy"]["version_in_use"] > 1
    assert "the trainer" not in (run_folder(tmp_path) / "trainer.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    others = psutil.Process(process.pid).children(recursive=True)
    # Trainer, recorder, world.
    assert len(others) >= 3
    process.send_signal(number)
    rest, _ = process.communicate()
    assert process.returncode == 0, rest
    assert summary(tmp_path)["ended"] == number.name
    _, left = psutil.wait_procs(others, timeout=30)
    assert not left


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["rate=0"], 2, ["rate=0"]),
        (["learners.policy.model.init_args.lr=fast"], 2, ["lr", "fast"]),
        (["learners.encoder.init_weights=README.md"], 2, ["README.md", "not a checkpoint"]),
        (["runs=/proc/nowhere"], 1, ["runs=/proc/nowhere", "cannot be written"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    result = run(tmp_path, *arguments)
    assert result.returncode == code
    (line,) = [text for text in result.stderr.splitlines() if text.strip()]
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


def test_a_taken_port_is_told_at_once_with_its_holder(tmp_path: Path) -> None:
    with bind_tcp("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        result = run(tmp_path, f"api_port={port}")
    assert result.returncode == 1
    (line,) = [text for text in result.stderr.splitlines() if text.startswith("error:")]
    assert f"TCP port {port} is taken by" in line
    assert not list(tmp_path.glob("debug/*"))
