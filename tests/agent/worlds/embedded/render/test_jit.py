from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numba import config
from numba.core import caching

from agent.worlds.embedded.render import jit as compiling
from agent.worlds.embedded.render.jit import jit


def double(number: int) -> int:
    return 2 * number


def triple(number: int) -> int:
    return 3 * number


@pytest.fixture(autouse=True)
def not_said_before() -> Iterator[None]:
    compiling._say_uncached.cache_clear()
    yield
    compiling._say_uncached.cache_clear()


def test_compiled_code_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert jit(double)(2) == 4
    assert list(tmp_path.rglob("*.nbc"))


def test_without_a_folder_for_compiled_code_functions_run_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert (jit(double)(2), jit(triple)(2)) == (4, 6)
    assert capfd.readouterr().err.count("NUMBA_CACHE_DIR") == 1


def test_a_full_disk_does_not_fail_the_call_that_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", refuse)
    assert jit(double)(2) == 4
    assert "No space left on device" in capfd.readouterr().err
