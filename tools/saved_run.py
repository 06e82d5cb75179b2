"""Reads what a run leaves in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.run_dir import METRICS, SETTINGS, SUMMARY
from pamiq_lightning.utils.yaml_files import read_yaml


def find_run(runs: Path) -> Path | None:
    """Return the first run folder below `runs`; None before there is one."""
    return next((path.parent for path in runs.glob(f"*/*/{SETTINGS}")), None)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a run."""
    return read_yaml(folder / SETTINGS)


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a run; None where it has none, because it still runs or was killed."""
    path = folder / SUMMARY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def read_metrics(folder: Path, role: str) -> list[dict[str, Any]]:
    """Return the metrics of one role, a record per line."""
    lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    return [record for line in lines if (record := json.loads(line))["role"] == role]
