"""Files of weights and values: safetensors, torch files, and Lightning checkpoints.

No content of a file is ever executed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from pamiq_lightning.checkpoint.store import (
    CheckpointError,
    checkpoints_folder,
    find_checkpoints,
    verify,
)
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.finite import check_finite

__all__ = ["CheckpointError", "load_weights", "newest_weights", "read_learner", "save"]

WEIGHTS = ".safetensors"
_SPEC = "learner"
"""Metadata key of a weights file: the learner's class_path and init_args."""


def load_weights(learner: Learner, path: Path) -> None:
    """Load a learner's weights from a checkpoint's safetensors or from a Lightning checkpoint.

    Optional parts that the file lacks keep their initial weights, which is reported. Optional parts
    that the learner lacks are ignored.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or of another model.
    """
    _, given = read_learner(path)
    own, parts = learner.state_dict(), learner.optional_prefixes
    weights = {
        key: value for key, value in given.items() if key in own or not key.startswith(parts)
    }
    missing = {key: own[key] for key in own if key not in given and key.startswith(parts)}
    fit_weights(learner, weights | missing, path)
    new = [part.strip(".") for part in parts if any(key.startswith(part) for key in missing)]
    if new:
        safe_print(f"{path} has no {', no '.join(new)}: training these from scratch")


def newest_weights(run_folder: Path, role: str) -> Path | None:
    """Return the file of a learner's newest valid weights in a run; None if there is none."""
    for folder in find_checkpoints(run_folder):
        try:
            verify(folder)
        except CheckpointError as error:
            safe_print(f"{error}; trying the checkpoint before")
            continue
        if (weights := folder / f"{role}{WEIGHTS}").is_file():
            return weights
    path = checkpoints_folder(run_folder) / f"{role}.ckpt"
    return path if path.is_file() else None


def fit_weights(learner: Learner, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that were read from `path`.

    Raises:
        CheckpointError: they are weights of another model, or not finite.
    """
    try:
        check_finite(weights, "")
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    try:
        learner.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:3]) or str(error)
        raise CheckpointError(
            f"{path} does not fit {type(learner).__name__} as it is set: {reason}"
        ) from error


def read_learner(path: Path) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
    """Return the learner's class_path and init_args, if the file has them, and its weights.

    Raises:
        CheckpointError: the file is missing, damaged, or unsafe.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    if path.suffix == WEIGHTS:
        weights, texts = read_tensors(path)
        return json.loads(texts[_SPEC]) if _SPEC in texts else None, weights
    content = read_values(path)
    if not isinstance(content, dict) or "state_dict" not in content:
        raise CheckpointError(f"{path} has no state_dict: it is not a Lightning checkpoint")
    settings = dict(content.get("hyper_parameters") or {})
    class_path = settings.pop("_class_path", None)
    settings.pop("_instantiator", None)
    spec = {"class_path": class_path, "init_args": settings} if class_path else None
    return spec, content["state_dict"]


def spec_of(learner: Learner) -> dict[str, Any]:
    """Return the class_path and init_args that a learner can be built from."""
    # Lightning's CLI adds hyper-parameters of its own, such as `_class_path`.
    settings = {name: value for name, value in learner.hparams.items() if not name.startswith("_")}
    cls = type(learner)
    return {"class_path": f"{cls.__module__}.{cls.__qualname__}", "init_args": to_plain(settings)}


def weights_bytes(learner: Learner) -> bytes:
    """Return a learner's weights, with the spec that it can be built from, as safetensors."""
    return tensor_bytes(learner.state_dict(), {_SPEC: json.dumps(spec_of(learner))})


def tensor_bytes(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> bytes:
    """Return named tensors and texts as safetensors."""
    own: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        # The format does not allow tensors that share memory.
        own[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in taken else tensor
        taken.add(tensor.untyped_storage().data_ptr())
    return safetensors.torch.save(own, dict(texts))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and texts of a file written by `tensor_bytes`.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        # Read, not mapped: replacing a mapped file would change the loaded tensors.
        content = path.read_bytes()
        with safe_open(path, "pt") as file:
            texts = file.metadata() or {}
        return safetensors.torch.load(content), texts
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a file of tensors: {error}") from error


def value_bytes(values: Mapping[str, Any]) -> bytes:
    """Return nested plain values and tensors in torch's file format."""
    # torch would store the whole storage behind a view.
    own = tree_map_only(Tensor, lambda tensor: tensor.detach().cpu().clone(), dict(values))
    buffer = io.BytesIO()
    torch.save(own, buffer)
    return buffer.getvalue()


def read_values(path: Path) -> Any:
    """Return the values of a file written by `value_bytes` or by Lightning.

    Raises:
        CheckpointError: it is damaged, or holds other objects than plain values and tensors.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # Damaged bytes can make the unpickler raise almost any exception.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is not a checkpoint of plain tensors: {reason}") from error


def save(learner: Learner, optimizer: Optimizer, path: Path) -> None:
    """Write a learner and its optimizer as a Lightning checkpoint, atomically.

    Raises:
        OSError: the disk refuses.
    """
    content: dict[str, Any] = {
        "state_dict": learner.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {
            # As Lightning's CLI writes them, so the learner can be built from this file alone.
            "_class_path": spec_of(learner)["class_path"],
            "_instantiator": "lightning.pytorch.cli.instantiate_module",
            **learner.hparams,
        },
        "pytorch-lightning_version": L.__version__,
        "epoch": 0,
        "global_step": int(learner.n_updates),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_atomic(path, value_bytes(content))
