"""Reads what a run leaves in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.run_dir import AIM_RUN, METRICS, SETTINGS, SUMMARY
from pamiq_lightning.utils.console import print_error
from pamiq_lightning.utils.usage_error import UsageError
from pamiq_lightning.utils.yaml_files import read_yaml


def find_run(runs: Path) -> Path | None:
    """Return the first run folder below `runs`; None before there is one."""
    return next((path.parent for path in runs.glob(f"*/*/{SETTINGS}")), None)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a run.

    Raises:
        UsageError: it has none, or the file is damaged.
    """
    path = folder / SETTINGS
    if settings := read_yaml(path):
        return settings
    raise UsageError(f"{path} is empty: the run's settings are lost")


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a run; None where it has none, because it still runs or was killed.

    A damaged one counts as none, and is reported.
    """
    path = folder / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        print_error(f"{path} cannot be read and counts as missing: {error}")
        return None
    if isinstance(summary, dict) and "exit_code" in summary:
        return summary
    print_error(f"{path} is no summary of a run and counts as missing")
    return None


def read_metrics(folder: Path, role: str) -> list[dict[str, Any]]:
    """Return the metrics of one role, a record per line."""
    lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    return [record for line in lines if (record := json.loads(line))["role"] == role]


def last_step_in_aim(folder: Path, metric: str) -> int:
    """Return the last step at which a run logged a metric to Aim; -1 where it never did."""
    import aim

    known = (folder / AIM_RUN).read_text()
    repo = aim.Repo.from_path(str(folder.parent.parent))
    run = repo.request_tree("meta", known, read_only=True).subtree(("meta", "chunks", known))
    traces = [found[metric] for found in run.get("traces", {}).values() if metric in found]
    return max((int(trace["last_step"]) for trace in traces), default=-1)
