from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent.osc import watchdog_process


def test_capture_and_osc_import_no_heavy_libraries() -> None:
    program = (
        "import sys, agent.check, agent.worlds.vrchat.settings\n"
        "print(sorted({'torch', 'cv2', 'zeroconf'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.strip() == b"[]"


def test_run_heeds_signals_before_it_loads_anything_heavy() -> None:
    program = "import sys, agent.run; print(sorted({'torch', 'numpy', 'yaml'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.strip() == b"[]"


def test_watchdog_process_imports_the_standard_library_only() -> None:
    root = Path(watchdog_process.__file__).parents[2]
    program = "import sys; sys.path.append(sys.argv[1]); import agent.osc.watchdog_process"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(root)], check=True)
