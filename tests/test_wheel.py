"""The wheel, installed elsewhere, runs by itself: it carries conf/ and the commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from inspect import signature
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "agent", "pamiq_lightning", "conf")


def _run(*command: str | Path, cwd: Path, path: Path | None = None, code: int = 0) -> str:
    """Run a command with the packages of `path` alone; return its output."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        path = CHECKOUT / name
        if path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, source / name, ignore=ignored)
        else:
            shutil.copy(path, source)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    offline = ("--no-deps", "--no-index")
    _run(*pip, "wheel", *offline, "--no-build-isolation", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    _run(*pip, "install", *offline, "--target", folder / "installed", wheel, cwd=folder)
    return folder / "installed"


def test_wheel_holds_every_conf_file_and_every_module(installed: Path) -> None:
    def files(folder: Path, pattern: str) -> set[Path]:
        return {path.relative_to(folder) for path in folder.rglob(pattern)}

    for pattern in ("*.yaml", "*.safetensors"):
        conf = files(CHECKOUT / "conf", pattern)
        assert conf and files(installed / "pamiq_lightning" / "conf", pattern) == conf
    for package in ("agent", "pamiq_lightning"):
        for pattern in ("*.py", "*.html", "py.typed"):
            assert files(installed / package, pattern) == files(CHECKOUT / package, pattern)


def test_wheel_finds_its_own_conf_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    run = (sys.executable, "-m", "agent.run", "conf=japan_stret")
    assert "did you mean japan_street?" in _run(*run, cwd=tmp_path, path=installed, code=2)
    run = (sys.executable, "-m", "agent.run", "conf=debug", "rate=fast")
    assert "rate=fast: must be a number" in _run(*run, cwd=tmp_path, path=installed, code=2)


def test_wheel_installs_commands_that_take_no_arguments(installed: Path) -> None:
    (wheel,) = distributions(path=[str(installed)])
    commands = {point.name: point.load() for point in wheel.entry_points}
    assert set(commands) == {"pamiq", "pamiq-run", "pamiq-ctl", "pamiq-check"}
    for name, main in commands.items():
        assert shutil.which(name, path=installed / "bin"), f"{name} is not installed"
        signature(main).bind()


def test_wheel_runs_an_agent_from_a_folder_with_another_agent(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "agent.py").write_text("raise ImportError('not the package')")
    settings = ("conf=debug", "seconds=2", "record=false", "trainer.aim=false")
    _run(installed / "bin" / "pamiq-run", *settings, cwd=tmp_path, path=installed)
    (summary,) = tmp_path.glob("runs/debug/*/summary.json")
    assert json.loads(summary.read_text())["ticks"] > 0
