"""The command line that all tools share."""

from __future__ import annotations

import argparse
import sys

from pamiq_lightning.utils.console import open_missing_streams


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a module's docstring, its lines kept as they are.

    Every tool begins with this, so it also opens the standard streams that are missing.
    """
    open_missing_streams()
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    prog = f"python -m {spec.name.removesuffix('.__main__')}" if spec else None
    return argparse.ArgumentParser(
        prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
