from __future__ import annotations

from pathlib import Path

from pamiq_lightning.exchange.status_board import LEARNER_FIGURES, StatusBoard, StatusBoardSpec


def test_what_one_side_writes_the_other_reads(tmp_path: Path) -> None:
    spec = StatusBoardSpec(tmp_path / "board", ("encoder", "policy"))
    agent, trainer = StatusBoard(spec, create=True), StatusBoard(spec)
    assert not (agent.ready or agent.stop or trainer.rounds)
    trainer.set_ready()
    trainer.set_progress(rounds=5, rollouts_dropped=2)
    metrics = {name: float(place) for place, name in enumerate(LEARNER_FIGURES)}
    trainer.set_learner("policy", metrics)
    assert agent.ready
    assert (agent.rounds, agent.rollouts_dropped) == (5, 2)
    assert agent.learner("policy") == metrics
    assert agent.learner("encoder")["updates"] == 0
    agent.request_stop()
    assert trainer.stop


def test_a_save_is_settled_by_the_trainer(tmp_path: Path) -> None:
    spec = StatusBoardSpec(tmp_path / "board", ("encoder",))
    agent, trainer = StatusBoard(spec, create=True), StatusBoard(spec)
    first = agent.request_save()
    assert trainer.save_requested == first
    assert agent.saved(first) is None
    trainer.set_saved(first, done=True)
    second = agent.request_save()
    assert (agent.saved(first), agent.saved(second)) == (True, None)
    trainer.set_saved(second, done=False)
    assert (agent.saved(first), agent.saved(second)) == (True, False)


def test_a_pause_is_asked_for_and_confirmed(tmp_path: Path) -> None:
    spec = StatusBoardSpec(tmp_path / "board", ("encoder",))
    agent, trainer = StatusBoard(spec, create=True), StatusBoard(spec)
    agent.request_pause(True)
    assert trainer.pause and not agent.paused
    trainer.set_paused(True)
    assert agent.paused
    agent.request_pause(False)
    assert not trainer.pause
