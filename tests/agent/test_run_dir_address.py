from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.api_file import API_FILE, Address, read_address, remove_address, write_address

ADDRESS = Address("127.0.0.1", 4321, "secret")


def test_it_comes_back_and_goes(tmp_path: Path) -> None:
    write_address(tmp_path, ADDRESS)
    assert read_address(tmp_path) == ADDRESS
    assert ADDRESS.page == "http://127.0.0.1:4321/#secret"
    assert [path.name for path in tmp_path.iterdir()] == [API_FILE]
    remove_address(tmp_path)
    remove_address(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_address(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_address(tmp_path, ADDRESS)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / API_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", "7", '{"port": 1}', '{"hots": "", "port": 1}'])
def test_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / API_FILE).write_text(text)
    with pytest.raises(ValueError):
        read_address(tmp_path)
