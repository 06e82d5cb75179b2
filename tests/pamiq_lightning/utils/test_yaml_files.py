from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pamiq_lightning.utils.usage_error import UsageError
from pamiq_lightning.utils.yaml_files import dump_yaml, parse_value, read_yaml


@pytest.mark.parametrize(
    "text, value",
    [
        ("1_000", 1000),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-4", 1e-4),
        ("-.5", -0.5),
        (".inf", float("inf")),
        ("~", None),
        ("", None),
        ("True", True),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("'5'", "5"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    (tmp_path / "a.yaml").write_text(f"a: {text}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": value}


def test_keys_are_texts_and_merged_keys_give_way(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x: &x {a: 1, 1e-3: 2}\ny: {<<: *x, a: 5}\n")
    assert read_yaml(tmp_path / "a.yaml")["y"] == {"a": 5, "1e-3": 2}


@pytest.mark.parametrize(
    "text",
    ["010", "08", "1e-4", "0o7", "off", "1:30", "2024-01-01", "null", "#1", "a: b", "\u30e1"],
)
def test_a_text_that_is_written_stays_a_text_for_every_reader(tmp_path: Path, text: str) -> None:
    written = dump_yaml({"a": text})
    (tmp_path / "a.yaml").write_text(written, encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == yaml.safe_load(written) == {"a": text}


def test_a_file_that_refers_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a [*a]\n")
    with pytest.raises(UsageError, match=r"a\.yaml:1: "):
        read_yaml(tmp_path / "a.yaml")


def test_a_value_that_nests_too_deeply_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^is not YAML: it nests too deeply$"):
        parse_value("[" * 10_000)
