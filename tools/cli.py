"""The command line that all tools share."""

from __future__ import annotations

import argparse
import sys


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a module's docstring, its lines kept as they are."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    prog = f"python -m {spec.name.removesuffix('.__main__')}" if spec else None
    return argparse.ArgumentParser(
        prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
