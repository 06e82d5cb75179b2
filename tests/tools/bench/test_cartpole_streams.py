from __future__ import annotations

import torch
from tensordict import TensorDict

from pamiq_lightning.step import is_transition
from tools.bench.cartpole_streams import (
    CHOICES,
    NO_VELOCITIES,
    STREAM,
    CartPoles,
    EpisodicPPO,
    StreamsReplay,
)

STREAMS, ROWS = 3, 60


def policy(**changes: float) -> EpisodicPPO:
    settings: dict[str, float] = {"dim": 8, "depth": 1, "mix_features": 4, "batch_size": 16}
    learner = EpisodicPPO((1, 2), (1, 1), CHOICES, **(settings | changes))  # type: ignore[arg-type]
    learner.log = learner.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    return learner


def lived(rollouts: int) -> list[list[TensorDict]]:
    """The windows of every stream, under a new policy, whose poles soon fall."""
    poles, acting = CartPoles(STREAMS, NO_VELOCITIES, (1, 1), seed=0), policy().acting_module
    made = [poles.live(ROWS, acting, None, version=7) for _ in range(rollouts)]
    assert poles.steps == rollouts * STREAMS * ROWS
    return made


def test_the_fall_is_a_row_of_its_own_and_the_next_one_a_first() -> None:
    for stream, steps in enumerate(lived(1)[0]):
        assert (steps["index"] == STREAM * stream + torch.arange(ROWS)).all()
        assert steps["latent"].shape == (ROWS, 1, 2)
        assert steps["is_first"][0]
        assert steps["terminal"].any()
        assert (steps["is_first"][1:] == steps["terminal"][:-1]).all()
        assert (steps["reward"] == (~steps["is_first"]).float()).all()
        assert (steps["versions"] == 7).all()


def test_streams_are_joined_without_a_transition_from_one_to_another() -> None:
    learner = policy()
    replay = StreamsReplay(learner.replay)
    learner.latest_version = 7
    first, second = lived(2)
    whole = [torch.cat([a, b]) for a, b in zip(first, second, strict=True)]
    wanted = sum(int(is_transition(steps).sum()) for steps in whole)
    rows = 0
    for rollouts in (first, second):
        prepared: list[TensorDict] = []
        learner.prepare = lambda w, p=prepared: p.append(EpisodicPPO.prepare(learner, w)) or p[0]  # type: ignore[method-assign, misc]
        for steps in rollouts:
            replay.extend(steps)
        assert len(list(replay.batches(learner)))
        assert len(prepared) == 1
        rows += len(prepared[0])
    assert rows == wanted


def test_a_fallen_pole_promises_nothing_and_one_out_of_time_its_value() -> None:
    learner = policy(gamma=0.5, gae_lambda=1.0)
    steps = lived(1)[0][0][:4]
    steps["is_first"] = torch.tensor([True, False, True, False])
    steps["terminal"] = torch.tensor([False, True, False, False])
    value = torch.full((4,), 8.0)
    promised = learner.bootstrap_values(steps, value)
    assert promised.tolist() == [8.0, 0.0, 8.0, 8.0]
    reward = torch.tensor([0.0, 1.0, 0.0, 1.0])
    advantage = learner.advantages(promised, reward, is_transition(steps))
    assert advantage.tolist() == [1 - 8, 0.0, 1 + 0.5 * 8 - 8]
