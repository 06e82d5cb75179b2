from __future__ import annotations

import json

from pamiq_lightning.utils.json_text import json_text


def test_numbers_that_json_lacks_become_null() -> None:
    value = {"a": [1, float("nan")], "b": {"c": float("-inf")}, "d": (0.5, "NaN", None, True)}
    found = json.loads(json_text(value, indent=1), parse_constant=lambda name: 1 / 0)
    assert found == {"a": [1, None], "b": {"c": None}, "d": [0.5, "NaN", None, True]}
