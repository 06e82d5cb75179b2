"""Classes named in settings, {class_path, init_args}: checked against the class, and built."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from jsonargparse import ArgumentError, ArgumentParser

from pamiq_lightning.utils.usage_error import UsageError, check_names

T = TypeVar("T")


def find_class(base: type[T], class_path: str, key: str) -> type[T]:
    """Import the class that a setting names.

    Raises:
        UsageError: there is no such class, or it is not a subclass of `base`.
    """
    module_name, _, name = class_path.rpartition(".")
    where, wanted = f"{key}.class_path={class_path}", f"a {base.__module__}.{base.__qualname__}"
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{where}: there is no such class ({error}); it must be {wanted}"
        ) from error
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UsageError(f"{where}: is not {wanted}")
    return found


def resolve(base: type[T], spec: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the spec with every default filled in and all types checked; nothing is built.

    Args:
        base: what the class must be a subclass of.
        spec: `class_path` and `init_args`.
        key: where it stands in the settings, for messages.

    Raises:
        UsageError: an unknown class or argument, a missing argument, a value of a wrong type.
    """
    if "class_path" not in spec or set(spec) - {"class_path", "init_args"}:
        raise UsageError(f"{key}: has class_path and init_args, got {sorted(spec)}")
    class_path, given = str(spec["class_path"]), spec.get("init_args") or {}
    cls = find_class(base, class_path, key)
    if not isinstance(given, Mapping):
        raise UsageError(f"{key}.init_args={given}: must hold the arguments of {cls.__qualname__}")
    parser = ArgumentParser(exit_on_error=False)
    # Arguments that a class passes to its base class (`**kwargs`) are among them.
    known = parser.add_class_arguments(cls, None)
    check_names(f"{key}.init_args.", given, known)
    try:
        init_args = parser.parse_object(dict(given)).as_dict()
    except ArgumentError as error:
        raise UsageError(f"{key}.init_args: {' '.join(str(error).split())}") from error
    return {"class_path": class_path, "init_args": init_args}


def instantiate(base: type[T], resolved: Mapping[str, Any], key: str = "model") -> T:
    """Build the class of a resolved spec.

    Raises:
        UsageError: the class refuses the arguments.
    """
    cls = find_class(base, resolved["class_path"], key)
    try:
        return cls(**resolved["init_args"])
    # What torch makes of a width of -4 is one of these.
    except (ValueError, RuntimeError, ArithmeticError, TypeError) as error:
        raise UsageError(f"{key}.init_args: {error}") from error


def build(base: type[T], spec: Mapping[str, Any], key: str = "model") -> T:
    """Resolve a spec and build its class.

    Raises:
        UsageError: as of `resolve` and `instantiate`.
    """
    return instantiate(base, resolve(base, spec, key), key)
