"""Write one page on one run: outcome, faults, maps, steps, actions, curves, settings.

python -m tools.report runs/japan_street/DATE-TIME
python -m tools.report RUN --out page.html
"""

from __future__ import annotations

import sys
from pathlib import Path

from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.console import print_failure, safe_print
from pamiq_lightning.utils.usage_error import UsageError
from tools.cli import make_parser
from tools.report.page import render
from tools.report.run_data import ReportError, RunData


def main(arguments: list[str] | None = None) -> int:
    """Write the page; return the exit code."""
    parser = make_parser(__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--out", type=Path, help="file to write; default: report.html in RUN")
    options = parser.parse_args(arguments)
    out = options.out or options.run / "report.html"
    try:
        page = render(RunData(options.run))
        replace_atomic(out, page.encode())
    except (ReportError, RecordingError, UsageError) as error:
        return print_failure(error)
    except OSError as error:
        reason = f"cannot be written ({error.strerror})"
        return print_failure(f"{out} {reason}; --out FILE names another")
    safe_print(f"{out}: {len(page) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
