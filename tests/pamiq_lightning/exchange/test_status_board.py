from __future__ import annotations

from pathlib import Path

from pamiq_lightning.exchange.status_board import (
    LEARNER_METRICS,
    MESSAGE_BYTES,
    MESSAGES,
    StatusBoard,
    StatusBoardSpec,
)


def test_board_shows_one_process_what_the_other_wrote(tmp_path: Path) -> None:
    spec = StatusBoardSpec(tmp_path / "board", ("encoder", "policy"))
    agent, trainer = StatusBoard(spec, create=True), StatusBoard(spec)
    assert not (agent.ready or agent.stop or trainer.rounds or agent.heartbeat)
    trainer.ready = True
    trainer.rounds, trainer.rollouts_dropped, trainer.heartbeat = 5, 2, 0.5
    metrics = {name: float(number) for number, name in enumerate(LEARNER_METRICS)}
    trainer.set_learner("policy", metrics)
    assert agent.ready is True
    assert (agent.rounds, agent.rollouts_dropped, agent.heartbeat) == (5, 2, 0.5)
    assert agent.learner("policy") == metrics
    assert agent.learner("encoder")["updates"] == 0
    agent.request_stop()
    assert trainer.stop


def test_a_save_is_pending_until_the_trainer_did_it_or_failed(tmp_path: Path) -> None:
    spec = StatusBoardSpec(tmp_path / "board", ("encoder",))
    agent, trainer = StatusBoard(spec, create=True), StatusBoard(spec)
    first = agent.request_save()
    assert trainer.save_requested == first
    assert agent.saved(first) is None
    trainer.save_done = first
    second = agent.request_save()
    assert (agent.saved(first), agent.saved(second)) == (True, None)
    trainer.save_failed = second
    assert (agent.saved(first), agent.saved(second)) == (True, False)


def test_a_pause_is_requested_and_confirmed(tmp_path: Path) -> None:
    spec = StatusBoardSpec(tmp_path / "board", ("encoder",))
    agent, trainer = StatusBoard(spec, create=True), StatusBoard(spec)
    agent.request_pause(True)
    assert trainer.pause and not agent.paused
    trainer.paused = True
    assert agent.paused
    agent.request_pause(False)
    assert not trainer.pause


def test_messages_reach_the_agent_in_order_and_once(tmp_path: Path) -> None:
    spec = StatusBoardSpec(tmp_path / "board", ())
    agent, trainer = StatusBoard(spec, create=True), StatusBoard(spec)
    trainer.post("ディスクが一杯です")
    trainer.post("x" * (MESSAGE_BYTES + 1))
    assert agent.new_messages() == ["ディスクが一杯です", "x" * MESSAGE_BYTES]
    # A trainer that replaces a dead one goes on counting.
    replacement = StatusBoard(spec)
    for number in range(MESSAGES + 2):
        replacement.post(str(number))
    assert agent.new_messages() == [str(number) for number in range(2, MESSAGES + 2)]
    assert agent.new_messages() == []
