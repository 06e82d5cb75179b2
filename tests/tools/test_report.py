from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.report.__main__ import main
from tools.report.charts import binned
from tools.report.page import faults, outcome, render
from tools.report.run_data import ReportError, RunData, Steps
from tools.report.strips import APART, choose
from tools.saved_run import read_summary
from tools.series import action_entropies


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run under lockstep."""
    folder = tmp_path_factory.mktemp("report")
    subprocess.run(
        [
            *(sys.executable, "-m", "agent.run", "conf=debug", "clock=lockstep", "steps=200"),
            *("world=embedded", "trainer.aim=false", f"runs={folder / 'runs'}"),
        ],
        check=True,
        capture_output=True,
        cwd=Path(__file__).parents[2],
    )
    (made,) = folder.glob("runs/*/*")
    return made


def steps_with(reward: np.ndarray) -> Steps:
    n = len(reward)
    valid = np.ones(n, np.bool_)
    return Steps(
        np.arange(n),
        np.arange(n) / 10,
        np.zeros((n, 5), np.int64),
        reward.astype(np.float32),
        valid,
        valid,
        ~valid,
        {},
    )


def test_page_has_every_section_and_no_links(run: Path) -> None:
    page = render(RunData(run))
    parts = ("outcome", "faults", "maps", "steps", "actions", "curves", "settings")
    for part in parts:
        assert f'<h2 id="{part}">' in page
    # There are no times under lockstep.
    assert '<h2 id="latency">' not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for role in ("agent", "encoder", "dynamics", "policy", "decoder"):
        assert f"<h3>{role}</h3>" in page
    summary = json.loads((run / "summary.json").read_text())
    assert f"{summary['ticks']:,}" in page
    strips = re.findall(r"data:image/png;base64,([^\"]+)\" alt=\"frames", page)
    assert strips
    with Image.open(io.BytesIO(base64.b64decode(strips[0]))) as picture:
        assert np.asarray(picture).std() > 0


def test_killed_run_is_reported_from_the_files_it_has(run: Path, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("settings.yaml", "metrics.jsonl"):
        (killed / name).write_text((run / name).read_text())
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"role": "agent", "ti')
    (killed / "trainer.log").write_text(
        "ready\nno checkpoint can be saved (No space left on device)\n"
    )
    data = RunData(killed)
    page = render(data)
    assert "is missing" in page
    assert '<h2 id="maps">' not in page
    found = faults(data)
    assert "1 lines of metrics.jsonl cannot be read" in found
    assert any("No space left" in line for line in found)


def test_a_damaged_summary_is_reported_in_one_line_and_counts_as_missing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("settings.yaml", "metrics.jsonl"):
        (tmp_path / name).write_text((run / name).read_text())
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b"\n5\n\0\0\0\n\xff\n")
    (tmp_path / "summary.json").touch()
    assert main([str(tmp_path)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'summary.json'} ") and "counts as missing" in line
    assert "is missing or damaged" in (tmp_path / "report.html").read_text()
    for content in (b"{", b"\0\0", b"[]", b"{}", b"\xff"):
        (tmp_path / "summary.json").write_bytes(content)
        assert read_summary(tmp_path) is None
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_report_that_cannot_be_made_or_written_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--out", str(tmp_path / "nowhere" / "page.html")]) == 1
    assert "cannot be written (No such file or directory); --out FILE" in capsys.readouterr().err
    (tmp_path / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text())
    (tmp_path / "settings.yaml").write_text("")
    assert main([str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("settings.yaml is empty: the run's settings are lost")


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="is no run"):
        RunData(tmp_path)


def test_strips_show_the_most_extreme_rewards_apart() -> None:
    reward = np.zeros(400)
    reward[[100, 101, 300]] = 9, 8, 7
    reward[200] = -5
    assert choose(steps_with(reward), "highest", 2) == [100, 300]
    assert choose(steps_with(reward), "lowest", 1) == [200]
    rows = choose(steps_with(np.random.default_rng(0).random(400)), "highest", 5)
    assert np.diff(sorted(rows)).min() >= APART


def test_strips_leave_out_steps_without_a_reward() -> None:
    made = steps_with(np.array([5.0, 1.0, 2.0]))
    made.rewarded[0] = False
    assert choose(made, "highest", 1) == [2]


def test_binned_curve_keeps_the_extremes_of_each_span() -> None:
    hours = np.linspace(0, 1, 10_000)
    values = np.zeros(10_000)
    values[5_000] = 7
    middle, mean, low, high = binned(hours.tolist(), values.tolist())
    assert len(middle) == 200 and high.max() == 7 and low.min() == 0
    assert mean.max() == pytest.approx(7 / 50, rel=0.05)


def test_action_entropies_are_in_bits() -> None:
    made = steps_with(np.zeros(4))
    made.action[:, 0] = [0, 1, 0, 1]
    entropies = action_entropies(made.action)
    assert entropies["vertical"] == (pytest.approx(1.0), pytest.approx(np.log2(3)))
    assert entropies["jump"] == (0.0, 1.0)


def test_outcome_marks_missed_ticks_and_has_no_times_under_lockstep() -> None:
    times = {"p50": 1.0, "p95": 1.0, "p99": 2.0, "max": 3.0}
    summary = {
        "ended": "as set", "exit_code": 0, "alive_s": 10, "ticks": 100, "rate_hz": 10.0,
        "missed_ticks": 3, "rollouts_filled": 1, "rollouts_dropped": 0, "paused_s": 0, "pauses": 0,
        "tick_ms": times, "lateness_ms": times, "latency_ms": times, "learners": {},
    }  # fmt: skip
    shown = {label: (value, bad) for label, value, bad in outcome(summary, real=True)}
    assert shown["missed ticks"] == ("3", True)
    assert shown["tick, ms"][0] == "p50 1.0, p95 1.0, p99 2.0, max 3.0"
    assert "tick, ms" not in {label for label, *_ in outcome(summary, real=False)}


@pytest.mark.parametrize(
    "line",
    [
        "no checkpoint can be saved (No space left on device)",
        "metrics and images are being lost: disk",
        "the step log is losing rollouts: disk",
        "Aim takes no records (OSError): they are kept, and it is tried again",
    ],
)
def test_page_has_the_faults_in_the_log_of_the_trainer(
    run: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "settings.yaml").write_bytes((run / "settings.yaml").read_bytes())
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / "trainer.log").write_text(f"{line}\nsaved 000020 in 0.1 s\n")
    assert RunData(tmp_path).warnings() == [line]
