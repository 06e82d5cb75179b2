"""Write an encoder's checkpoint as one small safetensors file, to begin others from.

    python -m tools.export_encoder ENCODER.ckpt conf/weights/NAME.safetensors

The encoder that trains is left out: who begins from the file begins it at the average that acts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pamiq_lightning.checkpoint.files import (
    CheckpointError,
    read_tensors,
    tensor_bytes,
    weights_bytes,
)
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.offline.frozen import from_checkpoint


def export(source: Path, target: Path) -> None:
    """Write what acts, and the predictor.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(weights_bytes(from_checkpoint(source, IJEPA)))
    whole, told = read_tensors(target)
    kept = {name: tensor for name, tensor in whole.items() if not name.startswith("encoder.")}
    target.write_bytes(tensor_bytes(kept, told))


def main() -> int:
    """Export; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="checkpoint of an encoder")
    parser.add_argument("target", type=Path, help="file to write, .safetensors")
    options = parser.parse_args()
    try:
        export(options.source, options.target)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.target}: {options.target.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
