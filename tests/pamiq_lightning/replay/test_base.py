from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.uniform import UniformReplay
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import IJEPA, rollout


def test_training_round_names_a_missing_key() -> None:
    encoder = build(Learner, IJEPA)
    replay = UniformReplay(encoder.replay)
    with pytest.raises(KeyError, match="frame"):
        list(training_round(encoder, replay, [rollout(4).exclude("frame")]))


def test_torchrl_is_quiet_in_a_process_that_uses_a_replay_buffer() -> None:
    # It sets its own level when it is imported.
    code = "import pamiq_lightning.replay.base, torchrl; print(torchrl.torchrl_logger.level)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == logging.WARNING
