from __future__ import annotations

from pathlib import Path

import pytest

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.frozen import FrozenEncoders
from pamiq_lightning.offline.sizes import check_sizes
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.synthetic import IJEPA, PPO, arrays, record


def test_a_learner_of_another_size_is_refused_with_the_file_of_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "recording", [arrays(16, 0)])
    spec = RecordingReader(tmp_path / "recording").spec

    def check(model: Learner, frozen: FrozenEncoders) -> None:
        check_sizes(tmp_path / "recording", spec, frozen, model)

    encoder, policy, none = build(Learner, IJEPA), build(Learner, PPO), FrozenEncoders()
    frozen = FrozenEncoders(checkpoint(tmp_path, "encoder"))
    check(encoder, none)
    check(policy, frozen)
    monkeypatch.setattr(encoder, "frame_size", 144)
    with pytest.raises(RecordingError, match=r"frame is \[144\].* --config conf/sizes/SIZE/ijepa"):
        check(encoder, none)
    policy.shared_shapes["latent"] = (36, 32)
    with pytest.raises(RecordingError, match=r"latent is \[36, 32\], that of .*encoder.* is \[4, "):
        check(policy, frozen)
    (tmp_path / "checkpoints" / "000001").mkdir(parents=True)
    (tmp_path / "checkpoints" / "000001" / "settings.json").write_text('{"size": "debug"}')
    with pytest.raises(RecordingError, match=r"size debug: --config conf/sizes/debug/ppo\.yaml$"):
        check(policy, frozen)
