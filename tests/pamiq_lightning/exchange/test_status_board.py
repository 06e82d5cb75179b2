from __future__ import annotations

from pathlib import Path

from pamiq_lightning.exchange.status_board import LEARNER_FIGURES, Board, BoardSpec


def test_what_one_side_writes_the_other_reads(tmp_path: Path) -> None:
    spec = BoardSpec(tmp_path / "board", ("encoder", "policy"))
    agent, trainer = Board(spec, create=True), Board(spec)
    assert not (agent.ready or agent.stop or trainer.rounds)
    trainer.set_ready()
    trainer.set_progress(rounds=5, windows_dropped=2)
    figures = {name: float(place) for place, name in enumerate(LEARNER_FIGURES)}
    trainer.set_learner("policy", figures)
    assert agent.ready
    assert (agent.rounds, agent.windows_dropped) == (5, 2)
    assert agent.learner("policy") == figures
    assert agent.learner("encoder")["updates"] == 0
    agent.ask_to_stop()
    assert trainer.stop


def test_a_save_is_settled_by_the_trainer(tmp_path: Path) -> None:
    spec = BoardSpec(tmp_path / "board", ("encoder",))
    agent, trainer = Board(spec, create=True), Board(spec)
    first = agent.ask_to_save()
    assert trainer.save_asked == first
    assert agent.saved(first) is None
    trainer.set_saved(first, done=True)
    second = agent.ask_to_save()
    assert (agent.saved(first), agent.saved(second)) == (True, None)
    trainer.set_saved(second, done=False)
    assert (agent.saved(first), agent.saved(second)) == (True, False)


def test_a_pause_is_asked_for_and_confirmed(tmp_path: Path) -> None:
    spec = BoardSpec(tmp_path / "board", ("encoder",))
    agent, trainer = Board(spec, create=True), Board(spec)
    agent.ask_to_pause(True)
    assert trainer.pause and not agent.paused
    trainer.set_paused(True)
    assert agent.paused
    agent.ask_to_pause(False)
    assert not trainer.pause
