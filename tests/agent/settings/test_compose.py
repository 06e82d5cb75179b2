from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.errors import UsageError
from agent.settings.compose import CommandLine, compose, merge, read_command_line


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "conf" / name).write_text(text)


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(
        tmp_path,
        {
            "base.yaml": "rate: 10\nlearners: {policy: learners/ppo.yaml}",
            "street.yaml": "extends: base.yaml\n"
            "learners: {policy: {model: {init_args: {clip: 0.1}}}}",
            "learners/ppo.yaml": "model: {class_path: A, init_args: {clip: 0.2, lr: 1e-3, dim: 8}}"
            "\ndata: {recording: null}",
            "sizes/small/shapes.yaml": "shapes: {}",
            "sizes/tiny/ppo.yaml": "model: {init_args: {clip: 0.3, dim: 64}}",
        },
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "conf"


def composed(*arguments: str) -> dict[str, Any]:
    return compose(read_command_line(arguments), lambda: "small")


def test_layers_win_in_the_order_learner_size_conf_command_line(conf: Path) -> None:
    settings = composed("conf=street", "size=tiny", "learners.policy.model.init_args.lr=5e-4")
    assert settings == {
        "rate": 10,
        "size": "tiny",
        "learners": {
            "policy": {
                "model": {"class_path": "A", "init_args": {"clip": 0.1, "lr": 5e-4, "dim": 64}}
            }
        },
    }


def test_shapes_of_the_size_are_referred_to_and_give_way_to_conf_and_command_line(
    conf: Path,
) -> None:
    write(
        conf.parent,
        {
            "learners/ppo.yaml": "model: {class_path: A, init_args: {k: '${shapes.state}'}}",
            "sizes/tiny/shapes.yaml": "shapes: {state: [2, 8], latent: [4, 4]}",
            "wide.yaml": "extends: base.yaml\nshapes: {state: [2, 16]}",
            "wider.yaml": "extends: wide.yaml\nlearners: {policy: learners/ppo.yaml}",
        },
    )

    def state(*arguments: str) -> Any:
        return composed(*arguments, "size=tiny")["learners"]["policy"]["model"]["init_args"]["k"]

    assert state("conf=base") == [2, 8]
    assert state("conf=wide") == state("conf=wider") == [2, 16]
    assert state("conf=wide", "shapes.state=[3, 32]") == [3, 32]
    with pytest.raises(UsageError, match=r"learners\.policy.*shapes\.state"):
        composed("conf=base", "size=small")


def test_an_unknown_size_names_the_nearest(conf: Path) -> None:
    with pytest.raises(UsageError, match=r"size=smal: .*did you mean small\?"):
        composed("conf=street", "size=smal")


def test_without_a_size_the_default_is_asked_for(conf: Path) -> None:
    assert composed("conf=street")["size"] == "small"


def test_a_new_class_drops_the_old_arguments() -> None:
    old = {"model": {"class_path": "A", "init_args": {"lr": 1}}, "freeze": False}
    new = {"model": {"class_path": "B", "init_args": {"k": 2}}}
    assert merge(old, new) == {**new, "freeze": False}
    same = {"model": {"class_path": "A", "init_args": {"k": 2}}}
    assert merge(old, same)["model"]["init_args"] == {"lr": 1, "k": 2}


def test_values_are_yaml_and_1e_4_is_a_number_and_off_a_word() -> None:
    line = read_command_line(["conf=x", "a=1e-4", "b.c=[1, 2]", "d=true", "e=text", "f=off"])
    expected = {"a": 1e-4, "b.c": [1, 2], "d": True, "e": "text", "f": "off"}
    assert line == CommandLine("x", expected)


@pytest.mark.parametrize("argument", ["street", "--rate=3", "=3", "a={"])
def test_what_is_not_key_value_is_named(argument: str) -> None:
    with pytest.raises(UsageError, match=argument.replace("{", ".")):
        read_command_line([argument])


def test_a_missing_conf_names_the_nearest(conf: Path) -> None:
    with pytest.raises(UsageError, match=r"conf=stret: .*did you mean street\?"):
        composed("conf=stret")


def test_damaged_files_are_named(conf: Path) -> None:
    (conf / "bad.yaml").write_text("a: [")
    with pytest.raises(UsageError, match=r"bad\.yaml is not YAML"):
        composed("conf=bad")
    (conf / "bad.yaml").write_text("- a")
    with pytest.raises(UsageError, match=r"bad\.yaml must hold keys and values"):
        composed("conf=bad")
    (conf / "bad.yaml").write_text("extends: bad.yaml")
    with pytest.raises(UsageError, match="extends itself"):
        composed("conf=bad")
    (conf / "bad.yaml").write_text("extends: nowhere.yaml")
    with pytest.raises(UsageError, match=r"no settings file .*nowhere\.yaml"):
        composed("conf=bad")


def test_composing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from agent.run import main; code = main(['conf=nope']);"
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert "conf=nope" in result.stderr and "Traceback" not in result.stderr


def test_weights_are_looked_for_beside_the_file_that_names_them(conf: Path) -> None:
    (conf / "weights").mkdir()
    (conf / "weights" / "a.safetensors").touch()
    write(
        conf.parent,
        {
            "warm.yaml": "extends: street.yaml\n"
            "learners: {policy: {init_weights: weights/a.safetensors}}",
            "cold.yaml": "extends: street.yaml\nlearners: {policy: {init_weights: b.ckpt}}",
        },
    )
    found = composed("conf=warm")["learners"]["policy"]
    assert Path(found["init_weights"]) == (conf / "weights" / "a.safetensors").resolve()
    assert found["model"]["init_args"]["clip"] == 0.1
    assert composed("conf=cold")["learners"]["policy"]["init_weights"] == "b.ckpt"
