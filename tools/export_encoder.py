"""Write an encoder's checkpoint as one small safetensors file, for `init_weights`.

    python -m tools.export_encoder ENCODER.ckpt conf/weights/NAME.safetensors

Weights that the learner derives from others when it loads them are left out, such as the online
encoder of I-JEPA, which starts from its target.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pamiq_lightning.checkpoint.files import (
    CheckpointError,
    read_tensors,
    tensor_bytes,
    weights_bytes,
)
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.roles import Encoder
from pamiq_lightning.offline.frozen import from_checkpoint
from pamiq_lightning.utils.atomic_io import staged
from pamiq_lightning.utils.console import print_failure, safe_print
from tools.cli import make_parser


def export(source: Path, target: Path) -> None:
    """Write all weights but the derived ones.

    Raises:
        CheckpointError: the checkpoint cannot be used, or is no encoder's.
    """
    learner = from_checkpoint(source, Encoder)
    assert isinstance(learner, Learner)
    target.parent.mkdir(parents=True, exist_ok=True)
    with staged(target) as part:
        part.write_bytes(weights_bytes(learner))
        weights, metadata = read_tensors(part)
        derived = learner.derived_prefixes
        exported = {name: weights[name] for name in weights if not name.startswith(derived)}
        part.write_bytes(tensor_bytes(exported, metadata))


def main() -> int:
    """Export; return the exit code."""
    parser = make_parser(__doc__)
    parser.add_argument("source", type=Path, help="checkpoint of an encoder")
    parser.add_argument("target", type=Path, help="file to write, .safetensors")
    options = parser.parse_args()
    try:
        export(options.source, options.target)
    except CheckpointError as error:
        return print_failure(error)
    safe_print(f"{options.target}: {options.target.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
