"""Weights of one learner in files: safetensors in checkpoints, and what Lightning reads and writes.

Nothing that is in a file is ever executed.
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

from pamiq_lightning.checkpoint.store import (
    CheckpointError,
    checkpoints_folder,
    find_checkpoints,
    verify,
)
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.safe_print import safe_print

__all__ = ["CheckpointError", "load_weights", "newest_weights", "read_learner", "save"]

WEIGHTS = ".safetensors"
_SPEC = "learner"
"""Under this name a weights file says which learner it is of, as class_path and init_args."""


def load_weights(learner: Learner, path: Path) -> None:
    """Load a learner's weights from a checkpoint's safetensors or from a Lightning checkpoint.

    Of its optional parts those that the file lacks begin anew, which is said, and those that the
    learner does not have are left out.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or of another model.
    """
    _, given = read_learner(path)
    own, parts = learner.state_dict(), learner.optional_prefixes
    weights = {
        key: value for key, value in given.items() if key in own or not key.startswith(parts)
    }
    lacking = {key: own[key] for key in own if key not in given and key.startswith(parts)}
    fit_weights(learner, weights | lacking, path)
    anew = [part.strip(".") for part in parts if any(key.startswith(part) for key in lacking)]
    if anew:
        safe_print(f"{path} has no {', no '.join(anew)}: these begin anew")


def newest_weights(run_folder: Path, role: str) -> Path | None:
    """Return the file of the newest good weights of a learner that a run has left, if it has."""
    for folder in find_checkpoints(run_folder):
        try:
            verify(folder)
        except CheckpointError as error:
            print(f"{error}; one before it is looked for", flush=True)
            continue
        if (weights := folder / f"{role}{WEIGHTS}").is_file():
            return weights
    path = checkpoints_folder(run_folder) / f"{role}.ckpt"
    return path if path.is_file() else None


def fit_weights(learner: Learner, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that were read from `path`.

    Raises:
        CheckpointError: they are another model's.
    """
    try:
        learner.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:3]) or str(error)
        raise CheckpointError(
            f"{path} does not fit {type(learner).__name__} as it is set: {reason}"
        ) from error


def read_learner(path: Path) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
    """Return the learner's class_path and init_args, if the file tells them, and its weights.

    Raises:
        CheckpointError: the file is missing, damaged, or unsafe.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    if path.suffix == WEIGHTS:
        weights, told = read_tensors(path)
        return json.loads(told[_SPEC]) if _SPEC in told else None, weights
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


def tensor_bytes(tensors: Mapping[str, Tensor], told: Mapping[str, str]) -> bytes:
    """Return named tensors and texts as safetensors."""
    own: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        # Of tensors that share memory the format wants copies.
        own[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in taken else tensor
        taken.add(tensor.untyped_storage().data_ptr())
    return safetensors.torch.save(own, dict(told))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return what `tensor_bytes` put into a file.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        # Read, not mapped: a mapped file that is replaced would change what was loaded.
        content = path.read_bytes()
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
        return safetensors.torch.load(content), told
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a file of tensors: {error}") from error


def value_bytes(values: Mapping[str, Any]) -> bytes:
    """Return plain values and tensors, however they are nested, as torch writes them."""
    buffer = io.BytesIO()
    torch.save(to_storable(values), buffer)
    return buffer.getvalue()


def to_storable(value: Any) -> Any:
    """Return a copy of nested values in which every tensor has its own numbers and no others."""
    if isinstance(value, Tensor):
        # Of a view torch would store all that it is a view of.
        return value.detach().cpu().clone()
    if isinstance(value, Mapping):
        return {key: to_storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_storable(item) for item in value)
    return value


def read_values(path: Path) -> Any:
    """Return what `value_bytes`, or Lightning, put into a file.

    Raises:
        CheckpointError: it is damaged, or holds more than plain values and tensors.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # Damaged bytes make the unpickler raise nearly anything.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is not a checkpoint of plain tensors: {reason}") from error


def save(learner: Learner, optimizer: Optimizer, path: Path) -> None:
    """Write a learner and its optimizer as a Lightning checkpoint, whole or not at all.

    Raises:
        OSError: the disk refuses.
    """
    content: dict[str, Any] = {
        "state_dict": learner.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {
            # As Lightning's CLI writes it: from this file alone the learner can be built.
            "_class_path": spec_of(learner)["class_path"],
            "_instantiator": "lightning.pytorch.cli.instantiate_module",
            **learner.hparams,
        },
        "pytorch-lightning_version": L.__version__,
        "epoch": 0,
        "global_step": int(learner.n_updates),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_atomic(path, buffer.getvalue())
