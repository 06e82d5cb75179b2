"""The worked examples of CONTRIBUTING.md, written to a folder and run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from agent.worlds.vrchat.settings import open_capture

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+)\n")


def blocks() -> list[tuple[str, str]]:
    """Return language and content of every code block."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return BLOCK.findall(text.split("## Adding something")[1])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's conf and the examples' files; the working directory."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for language, content in blocks():
        if language:
            name = NAMED.match(content)
            assert name, f"the first line of a block must name its file: {content[:40]!r}"
            path = tmp_path / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_example_learner_reward_and_scene_run_in_lockstep(project: Path) -> None:
    commands = [content.split() for language, content in blocks() if not language]
    assert all(command[:3] == ["python", "-m", "agent.run"] for command in commands)
    # One run has them all: each command adds its own line to the first.
    lines = dict.fromkeys(part for command in commands[:3] for part in command[3:])
    settings = [*lines, "trainer.aim=false", "runs=runs"]
    paths = os.pathsep.join([str(project), str(ROOT)])
    subprocess.run(
        [sys.executable, "-m", "agent.run", *settings],
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
        timeout=300,
    )
    (run,) = (project / "runs" / "mine").iterdir()
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("loss" in record for record in records if record["role"] == "probe")
    used = yaml.safe_load((run / "settings.yaml").read_text())
    assert used["curiosity"]["class_path"] == "my_agent.change.LatentChange"
    assert used["scene"]["init_args"] == {"side": 8}
    summary = json.loads((run / "summary.json").read_text())
    assert summary["exit_code"] == 0
    assert summary["reward"]["mean"] > 0


def test_example_capture_source_is_read_by_its_name(project: Path) -> None:
    (command,) = (content for _, content in blocks() if "vrchat.capture=" in content)
    capture = command.split("vrchat.capture=")[1].strip()
    source = open_capture(capture, 8, "VRChat")
    frame = source.read()
    source.close()
    assert frame.shape == (3, 8, 8)
    assert np.all(frame[1] == 255)
