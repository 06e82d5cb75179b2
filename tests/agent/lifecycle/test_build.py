from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from agent.errors import UsageError
from agent.lifecycle import build
from agent.settings.compose import CommandLine, compose
from agent.settings.schema import Settings, parse
from agent.worlds.factory import build_world
from pamiq_lightning.recording import tables
from pamiq_lightning.recording.schema import EpisodeFiles
from tests.synthetic import DATASET_SPEC, arrays, record


def debug(**overrides: Any) -> Settings:
    line = CommandLine("debug", {key.replace("__", "."): v for key, v in overrides.items()})
    return parse(compose(line, lambda: "tiny"))


def test_step_shape_comes_from_the_learners() -> None:
    learners = build.build_learners(debug())
    shape = build.step_shape(learners, ("x",))
    assert (shape.frame_size, shape.latent, shape.state) == (48, (16, 16), (2, 32))


def test_resolved_settings_hold_every_default() -> None:
    settings = debug()
    build.build_learners(settings)
    assert settings.learners["policy"].model["init_args"]["value_coef"] == 0.5


def test_each_learner_is_resolved_and_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("resolve", "instantiate"):
        original = getattr(build, name)

        def count(base: type, spec: Any, key: str, original: Any = original) -> Any:
            calls.append(f"{original.__name__} {key}")
            return original(base, spec, key)

        monkeypatch.setattr(build, name, count)
    build.build_learners(debug())
    assert len(calls) == len(set(calls)) == 8


@pytest.mark.parametrize(
    "override, words",
    [
        ({"learners__policy__model__init_args__lrr": 1}, ["learners.policy.model", "lrr", "lr?"]),
        ({"learners__policy__model__init_args__lr": "fast"}, ["learners.policy", "fast"]),
        (
            {"learners__policy__model__init_args__state": [2, 64]},
            ["learners.policy.model.init_args.state", "learners.dynamics.model.init_args.state"],
        ),
        (
            {"learners__policy__model__init_args__action_choices": [3, 2]},
            ["action_choices", "must be equal"],
        ),
        ({"learners__encoder__init_weights": "nowhere.ckpt"}, ["learners.encoder", "nowhere.ckpt"]),
        (
            {"learners__encoder__model__class_path": "a.B"},
            ["learners.encoder.model.class_path=a.B"],
        ),
    ],
)
def test_wrong_learner_settings_are_named(override: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        build.build_learners(debug(**override))
    for word in words:
        assert word in str(caught.value)


def test_a_shape_is_set_once_for_all_learners() -> None:
    learners = build.build_learners(debug(shapes__state=[2, 64]))
    shapes = [learners[role].shared_shapes["state"] for role in ("dynamics", "policy")]
    assert shapes == [(2, 64), (2, 64)]


def test_learners_with_another_shape_than_stated_are_refused() -> None:
    changes: dict[str, Any] = {
        f"learners__{role}__model__init_args__state": [2, 64] for role in ("policy", "dynamics")
    }
    with pytest.raises(UsageError, match=r"shapes\.state=\[2, 32\]: but learners\.dynamics"):
        build.build_learners(debug(**changes))


def test_unknown_actions_are_refused() -> None:
    changes = {
        f"learners__{role}__model__init_args__action_choices": [3, 2]
        for role in ("policy", "dynamics")
    }
    learners = build.build_learners(debug(**changes))
    with pytest.raises(UsageError, match="the body has"):
        build.step_shape(learners, ())


def test_gpu_without_a_cuda_build_of_torch_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(build.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    messages: list[str] = []
    assert build.choose_device("auto", messages.append).type == "cpu"
    assert len(messages) == 1 and "no CUDA" in messages[0]
    with pytest.raises(UsageError, match="device=cuda"):
        build.choose_device("cuda", messages.append)


def test_unknown_scene_or_reward_is_named() -> None:
    with pytest.raises(UsageError, match=r"curiosity\.class_path=x\.Y"):
        build.build_curiosity(debug(curiosity={"class_path": "x.Y"}))
    with pytest.raises(UsageError, match=r"scene\.init_args\.speed"):
        build_world(debug(scene__init_args={"speed": 3}), 48)


PATH = "pamiq_lightning.curiosity"


def test_dynamics_train_the_heads_that_the_rewards_need() -> None:
    settings = debug(
        curiosity={"class_path": f"{PATH}.disagreement.Disagreement"},
        logged_rewards={
            "novelty": {"class_path": f"{PATH}.rnd.RND"},
            "error": {"class_path": f"{PATH}.prediction_error.PredictionError"},
        },
    )
    rewards = [build.build_curiosity(settings), *build.build_logged_rewards(settings)]
    build.enable_aux_heads(settings, rewards)
    learners = build.build_learners(settings)
    net = learners["dynamics"].acting_module
    assert net.ensemble is not None and net.novelty is not None and net.error_model is None
    shape = build.step_shape(learners, ("x",), tuple(settings.logged_rewards))
    assert shape.info_names == ("x", "reward_novelty", "reward_error")
    plain = debug(curiosity={"class_path": f"{PATH}.prediction_error.PredictionError"})
    build.enable_aux_heads(plain, [build.build_curiosity(plain)])
    assert "aux_heads" not in plain.learners["dynamics"].model["init_args"]


def test_wrong_logged_reward_is_named() -> None:
    with pytest.raises(UsageError, match=r"logged_rewards\.odd\.init_args\.etta"):
        spec = {"class_path": f"{PATH}.ama.AMA", "init_args": {"etta": 1}}
        build.build_logged_rewards(debug(logged_rewards={"odd": spec}))
    with pytest.raises(UsageError, match="logged_rewards=ama"):
        debug(logged_rewards="ama")


def test_oracle_is_refused_without_ground_truth() -> None:
    settings = debug(curiosity={"class_path": f"{PATH}.count_oracle.CountOracle"})
    oracle = build.build_curiosity(settings)
    build.check_info_keys([oracle], ("cell", "heading"))
    with pytest.raises(UsageError, match="world=embedded"):
        build.check_info_keys([oracle], ("Grounded",))


@pytest.mark.parametrize("damage", ["cut off", "without a line"])
def test_a_recording_that_cannot_be_continued_is_refused_at_the_start(
    tmp_path: Path, damage: str
) -> None:
    record(tmp_path, [arrays(16), arrays(16, 32)])
    build.require_recordable(tmp_path, DATASET_SPEC)
    entry = EpisodeFiles(tmp_path, 1).meta
    if damage == "cut off":
        entry.write_bytes(entry.read_bytes()[:100])
    else:
        tables.write_table(entry, tables.read_table(entry).slice(0, 0))
    with pytest.raises(UsageError, match=r"file-001\.parquet is damaged: .*use record=false"):
        build.require_recordable(tmp_path, DATASET_SPEC)
