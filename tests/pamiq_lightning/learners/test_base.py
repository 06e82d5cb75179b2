from __future__ import annotations

import pytest

from pamiq_lightning.learners.base import Learner, check_shared_shapes
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import LEARNERS, PPO


def test_check_shared_shapes_accepts_learners_of_one_size() -> None:
    check_shared_shapes({role: build(Learner, spec) for role, spec in LEARNERS.items()})


def test_check_shared_shapes_names_both_settings() -> None:
    learners = {role: build(Learner, spec) for role, spec in LEARNERS.items()}
    learners["policy"] = build(Learner, {**PPO, "init_args": {**PPO["init_args"], "state": [2, 8]}})
    with pytest.raises(ValueError, match=r"learners\.policy.*state.*learners\.dynamics.*state"):
        check_shared_shapes(learners)


def test_hyper_parameters_are_builtin_types() -> None:
    for spec in LEARNERS.values():
        for value in build(Learner, spec).hparams.values():
            assert isinstance(value, int | float | str | tuple | list)
