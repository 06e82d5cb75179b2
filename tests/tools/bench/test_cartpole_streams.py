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


def rollouts(count: int) -> list[list[TensorDict]]:
    """The rollouts of every stream, under a new policy, whose poles soon fall."""
    poles, acting = CartPoles(STREAMS, NO_VELOCITIES, (1, 1), seed=0), policy().acting_module
    made = [poles.rollout(ROWS, acting, None, version=7) for _ in range(count)]
    assert poles.steps == count * STREAMS * ROWS
    return made


def test_an_episode_ends_in_a_row_of_its_own_before_is_first() -> None:
    for stream, steps in enumerate(rollouts(1)[0]):
        assert (steps["index"] == STREAM * stream + torch.arange(ROWS)).all()
        assert steps["latent"].shape == (ROWS, 1, 2)
        assert steps["is_first"][0]
        assert steps["terminal"].any()
        assert (steps["is_first"][1:] == steps["terminal"][:-1]).all()
        assert (steps["reward"] == (~steps["is_first"]).float()).all()
        assert (steps["versions"] == 7).all()


def test_replay_joins_streams_without_a_transition_between_them() -> None:
    learner = policy()
    replay = StreamsReplay(learner.replay)
    learner.latest_version = 7
    first, second = rollouts(2)
    whole = [torch.cat([a, b]) for a, b in zip(first, second, strict=True)]
    wanted = sum(int(is_transition(steps).sum()) for steps in whole)
    rows = 0
    for streams in (first, second):
        prepared: list[TensorDict] = []
        learner.prepare = lambda w, p=prepared: p.append(EpisodicPPO.prepare(learner, w)) or p[0]  # type: ignore[method-assign, misc]
        for steps in streams:
            replay.extend(steps)
        assert len(list(replay.batches(learner)))
        assert len(prepared) == 1
        rows += len(prepared[0])
    assert rows == wanted


def test_bootstrap_value_is_0_where_the_pole_fell_and_kept_where_time_ran_out() -> None:
    learner = policy(gamma=0.5, gae_lambda=1.0)
    steps = rollouts(1)[0][0][:4]
    steps["is_first"] = torch.tensor([True, False, True, False])
    steps["terminal"] = torch.tensor([False, True, False, False])
    value = torch.full((4,), 8.0)
    bootstrap = learner.bootstrap_values(steps, value)
    assert bootstrap.tolist() == [8.0, 0.0, 8.0, 8.0]
    reward = torch.tensor([0.0, 1.0, 0.0, 1.0])
    advantage = learner.advantages(bootstrap, reward, is_transition(steps))
    assert advantage.tolist() == [1 - 8, 0.0, 1 + 0.5 * 8 - 8]
