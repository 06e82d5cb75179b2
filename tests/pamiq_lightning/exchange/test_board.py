from __future__ import annotations

from pathlib import Path

from pamiq_lightning.exchange.board import Board, BoardSpec


def test_what_one_side_writes_the_other_reads(tmp_path: Path) -> None:
    spec = BoardSpec(tmp_path / "board", ("encoder", "policy"))
    agent, trainer = Board(spec, create=True), Board(spec)
    assert not (agent.ready or agent.stop or trainer.rounds)
    trainer.set_ready()
    trainer.set_progress(rounds=5, windows_dropped=2)
    figures = {"windows": 5, "updates": 40, "seconds": 1.5, "loss": 0.25, "version": 6}
    trainer.set_learner("policy", figures)
    assert agent.ready
    assert (agent.rounds, agent.windows_dropped) == (5, 2)
    assert agent.learner("policy") == figures
    assert agent.learner("encoder")["updates"] == 0
    agent.ask_to_stop()
    assert trainer.stop
