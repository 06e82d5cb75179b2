"""Classes named in settings: {class_path, init_args} checked against the class, and built."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from jsonargparse import ArgumentError, ArgumentParser

from pamiq_lightning.utils.suggest import unknown_name

T = TypeVar("T")


class SpecError(ValueError):
    """A class or an argument is wrong; the message names the key, the value, what is allowed."""


def find_class(base: type[T], class_path: str, key: str) -> type[T]:
    """Import the class that a setting names.

    Raises:
        SpecError: there is no such class, or it is not a subclass of `base`.
    """
    module_name, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SpecError(
            f"{key}.class_path={class_path}: there is no such class ({error}); "
            f"it must be a {base.__module__}.{base.__qualname__}"
        ) from error
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise SpecError(
            f"{key}.class_path={class_path}: is not a {base.__module__}.{base.__qualname__}"
        )
    return found


def resolve(base: type[T], spec: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the spec with every default filled in, all types checked; nothing is built.

    Args:
        base: what the class must be a subclass of.
        spec: `class_path` and `init_args`.
        key: where it stands in the settings, for messages.

    Raises:
        SpecError: an unknown class or argument, a missing argument, a value of a wrong type.
    """
    unknown = set(spec) - {"class_path", "init_args"}
    if unknown or "class_path" not in spec:
        raise SpecError(f"{key}: has class_path and init_args, got {sorted(spec)}")
    cls = find_class(base, str(spec["class_path"]), key)
    given = spec.get("init_args") or {}
    if not isinstance(given, Mapping):
        raise SpecError(f"{key}.init_args={given}: must hold the arguments of {cls.__qualname__}")
    parser = ArgumentParser(exit_on_error=False)
    # Those that a class hands on to the one above it (`**kwargs`) are among them.
    known = parser.add_class_arguments(cls, None)
    for name in given:
        if name not in known:
            raise SpecError(f"{key}.init_args.{name}: {unknown_name(name, known)}")
    try:
        resolved = parser.parse_object(dict(given))
    except ArgumentError as error:
        raise SpecError(f"{key}.init_args: {plain(error)}") from error
    return {"class_path": str(spec["class_path"]), "init_args": resolved.as_dict()}


def build(base: type[T], spec: Mapping[str, Any], key: str = "model") -> T:
    """Instantiate the class of a spec, its arguments checked.

    Raises:
        SpecError: as `resolve`; or the class itself refuses the arguments.
    """
    resolved = resolve(base, spec, key)
    cls = find_class(base, resolved["class_path"], key)
    try:
        return cls(**resolved["init_args"])
    # What torch makes of a width of -4 is one of these.
    except (ValueError, RuntimeError, ArithmeticError, TypeError) as error:
        raise SpecError(f"{key}.init_args: {error}") from error


def plain(error: ArgumentError) -> str:
    """Return jsonargparse's message on one line."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    return text.removeprefix("error: ")
