from __future__ import annotations

import numpy as np

from pamiq_lightning.offline.splits import split


def test_split_holds_out_every_tenth_minute_without_its_edges() -> None:
    seconds = np.arange(0, 1500, 0.5)
    made = split(seconds)
    assert set(made.minute[made.evaluated]) == {9, 19}
    assert seconds[made.evaluated & (made.minute == 9)].min() == 545
    assert seconds[made.evaluated & (made.minute == 9)].max() == 594.5
    assert set(made.minute[~made.trained]) == {9, 19}
    assert not (made.trained & made.evaluated).any()
