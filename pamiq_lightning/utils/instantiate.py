"""Classes named in settings, {class_path, init_args}: checked against the class, and built."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser

from pamiq_lightning.utils.usage_error import UsageError, check_names, describe_error

T = TypeVar("T")
_LARGEST = 2**63


@contextmanager
def user_code(what: str, *expected: type[Exception]) -> Iterator[None]:
    """Report whatever a class of the settings raises, even sys.exit, as one line.

    Args:
        what: setting and class, for the message.
        expected: errors that the caller handles.

    Raises:
        UsageError: the code raised; the message names what, the error, its file and line.
    """
    passed: tuple[type[Exception], ...] = (UsageError, *expected)
    try:
        yield
    except passed:
        raise
    except (Exception, SystemExit) as error:
        # The two frames are this one and the caller's.
        raise UsageError(f"{what}: {describe_error(error, 2)}") from error


def import_name(dotted: str, where: str, wanted: str) -> Any:
    """Import what a setting names, such as a class.

    Raises:
        UsageError: there is no such name, or importing its module fails.
    """
    module_name, _, name = dotted.rpartition(".")
    module = None
    try:
        with user_code(f"{where}: importing it failed", ImportError):
            if module_name and not module_name.startswith("."):
                module = importlib.import_module(module_name)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name in _parents(module_name)
        reason = str(error) if missing else describe_error(error, 1)
        raise UsageError(f"{where}: there is no such {wanted} ({reason})") from error
    found = getattr(module, name, None)
    if found is None:
        reason = f"{module_name} has no {name}" if module else "write MODULE.NAME"
        raise UsageError(f"{where}: there is no such {wanted} ({reason})")
    return found


def _parents(module: str) -> list[str]:
    """Return a module's dotted name and those of the packages it lies in."""
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def find_class(base: type[T], class_path: str, key: str) -> type[T]:
    """Import the class that a setting names.

    Raises:
        UsageError: there is no such class, its module fails, or it is not a subclass of `base`.
    """
    where, wanted = f"{key}.class_path={class_path}", f"a {base.__module__}.{base.__qualname__}"
    found = import_name(class_path, where, f"class; it must be {wanted}")
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
    with user_code(f"{key}.init_args"):
        parser = ArgumentParser(exit_on_error=False)
        # Arguments that a class passes to its base class (`**kwargs`) are among them.
        known = parser.add_class_arguments(cls, None)
        check_names(f"{key}.init_args.", given, known)
        _check_texts(cls, given, f"{key}.init_args")
        try:
            init_args = parser.parse_object(dict(given)).as_dict()
        except ArgumentError as error:
            raise UsageError(f"{key}.init_args: {' '.join(str(error).split())}") from error
    check_numbers(init_args, f"{key}.init_args")
    return {"class_path": class_path, "init_args": init_args}


def _check_texts(cls: type, given: Mapping[str, Any], key: str) -> None:
    """Check that no number is given where a class takes only a text, such as a folder named 2024.

    Which text was meant is not known any more: 010 is read as 10.

    Raises:
        UsageError: one is.
    """
    hints = get_type_hints(cls.__init__)  # type: ignore[misc]
    for name, value in given.items():
        hint = hints.get(name)
        kinds = {get_origin(kind) or kind for kind in (hint, *get_args(hint))}
        if isinstance(value, int | float) and kinds <= {str, Union, UnionType, NoneType}:
            raise UsageError(
                f"{key}.{name}={value}: must be a text; put quotes round it (on a command line "
                f"{name}='\"{value}\"')"
            )


def check_numbers(value: Any, key: str) -> None:
    """Check that every number is finite, and a whole one fits 64 bits.

    Raises:
        UsageError: one is not.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            check_numbers(item, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for item in value:
            check_numbers(item, key)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{key}={value}: must be finite")
    elif isinstance(value, int) and abs(value) >= _LARGEST:
        raise UsageError(f"{key}={value}: must be below {_LARGEST}")


def instantiate(base: type[T], resolved: Mapping[str, Any], key: str = "model") -> T:
    """Build the class of a resolved spec.

    Raises:
        UsageError: the class refuses the arguments, or its constructor fails.
    """
    cls = find_class(base, resolved["class_path"], key)
    with user_code(f"{key}.init_args: {cls.__qualname__} cannot be built"):
        return cls(**resolved["init_args"])


def build(base: type[T], spec: Mapping[str, Any], key: str = "model") -> T:
    """Resolve a spec and build its class.

    Raises:
        UsageError: as of `resolve` and `instantiate`.
    """
    return instantiate(base, resolve(base, spec, key), key)
