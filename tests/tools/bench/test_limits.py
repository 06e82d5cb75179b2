"""The command lines of the benchmarks."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAMS = sorted(p for p in (ROOT / "tools").rglob("*.py") if "\n    bench_main(" in p.read_text())


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_options_are_the_parameters_of_what_a_benchmark_calls(path: Path) -> None:
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "bench_main"
    ]
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert calls
    for call in calls:
        measure = eval(ast.unparse(call.args[1]), vars(module))
        options = {keyword.arg for keyword in call.keywords}
        assert options == set(inspect.signature(measure).parameters)
