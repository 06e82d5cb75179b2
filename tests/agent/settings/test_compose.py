from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.errors import UsageError
from agent.lifecycle.start import experiment_name
from agent.settings.compose import CommandLine, compose, format_argument, merge, read_command_line


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
    with pytest.raises(UsageError, match=r"bad\.yaml:1: is not YAML"):
        composed("conf=bad")
    (conf / "bad.yaml").write_text("- a")
    with pytest.raises(UsageError, match=r"bad\.yaml:1: must hold keys and values"):
        composed("conf=bad")
    (conf / "bad.yaml").write_text("extends: bad.yaml")
    with pytest.raises(UsageError, match="extends itself"):
        composed("conf=bad")
    (conf / "bad.yaml").write_text("extends: nowhere.yaml")
    with pytest.raises(UsageError, match=r"no settings file .*nowhere\.yaml"):
        composed("conf=bad")


def test_python_without_docstrings_is_refused() -> None:
    for module in ("agent.run", "pamiq_lightning"):
        command = [sys.executable, "-OO", "-m", module, "--help"]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 2
        assert result.stderr.startswith("error: python -OO") and result.stderr.count("\n") == 1


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


@pytest.mark.parametrize(
    "key", ["runs", "vrchat.title", "osc_host", "learners.policy.init_weights", "size"]
)
@pytest.mark.parametrize("text", ["my runs #2", "010", "1:30", "2024-01-01", "a: b", "[x", "'q'"])
def test_a_text_setting_is_taken_as_it_is_typed(key: str, text: str) -> None:
    assert read_command_line([f"{key}={text}"]).overrides == {key: text}


@pytest.mark.parametrize(
    "text, value",
    [
        ("010", 10),
        ("-7", -7),
        ("0x10", 16),
        (".5", 0.5),
        ("1:30", "1:30"),
        ("a #2", "a #2"),
        ("a: b", "a: b"),
        ("2024-01-01", "2024-01-01"),
        ("null", None),
        ("'010'", "010"),
        ("{a: [1, x]}", {"a": [1, "x"]}),
    ],
)
def test_other_values_are_one_scalar_or_a_collection_in_braces(text: str, value: object) -> None:
    assert read_command_line([f"scene.init_args.a={text}"]).overrides["scene.init_args.a"] == value


@pytest.mark.parametrize(
    "key",
    ["curiosity", "scene", "logged_rewards.mine", "learners.policy.model", "vrchat", "shapes"],
)
def test_sections_are_collections_in_braces(key: str) -> None:
    assert read_command_line([f"{key}={{class_path: A}}"]).overrides == {key: {"class_path": "A"}}
    list_key = "vrchat.disabled_actions"
    assert read_command_line([f"{list_key}=[jump]"]).overrides == {list_key: ["jump"]}


@pytest.mark.parametrize("argument", ["resume=", "conf=", "runs=", "steps=", "steps= "])
def test_an_empty_value_is_refused(argument: str) -> None:
    with pytest.raises(UsageError, match=rf"{argument}: has no value"):
        read_command_line([argument])


@pytest.mark.parametrize("key", ["runs", "scene.init_args.images", "seed"])
@pytest.mark.parametrize("value", ["my #2", "010", "1e-4", "true", None])
def test_an_argument_that_is_written_reads_back_the_same(key: str, value: object) -> None:
    assert read_command_line([format_argument(key, value)]).overrides == {key: value}


@pytest.mark.parametrize(
    "content, line, words",
    [
        (b"rate: 10\n\tseed: 1\n", 2, "indent with spaces"),
        (b"rate: 10\nseed: 1\nrate: 5\n", 3, "rate is given twice, first in line 1"),
        (b"trainer: {nice: 1, nice: 2}\n", 1, "nice is given twice"),
        ("rate: 10\n".encode("utf-16"), 1, "UTF-8"),
        ("rate: 10\n# \u30e1\u30e2\n".encode("cp932"), 2, "UTF-8"),
        (b"rate: 10\nseed: \x00\n", 2, "control character"),
        (b"rate: [1\nseed: 1\n", 2, "not YAML"),
        (b"5\n", 1, "keys and values"),
        (b"[]\n", 1, "keys and values"),
        (b"rate: 5\nextends: 5\n", 2, "extends=5: must be a file"),
        (b"rate: 5\nextends: [5]\n", 2, "extends="),
        (b"rate: 5\nlearners: 5\n", 2, "learners=5"),
        (b"rate: 5\n? [a]\n: 5\n", 2, "a key must be a text"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(
    conf: Path, content: bytes, line: int, words: str
) -> None:
    (conf / "mine.yaml").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        composed("conf=mine")
    assert f"mine.yaml:{line}" in str(caught.value) and words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(conf: Path, encoding: str) -> None:
    (conf / "mine.yaml").write_bytes("extends: base.yaml\r\nrate: 20\r\n".encode(encoding))
    assert composed("conf=mine")["rate"] == 20


def test_places_are_those_of_the_last_file_that_sets_a_key(conf: Path) -> None:
    (conf / "mine.yaml").write_text("extends: base.yaml\nsteps: 3\n")
    found = compose(read_command_line(["conf=mine", "size=tiny", "steps=4"]), lambda: "small")
    assert "steps" not in found.places
    assert found.places["rate"] == f"{conf.resolve() / 'base.yaml'}:1"


def test_names_of_confs_are_whole(conf: Path) -> None:
    assert experiment_name("lr0.3") == experiment_name("elsewhere/lr0.3.yaml") == "lr0.3"
    write(conf.parent, {"lr0.1.yaml": "extends: base.yaml", "lr0.3.yaml": "extends: base.yaml"})
    assert composed("conf=lr0.3")["rate"] == 10
