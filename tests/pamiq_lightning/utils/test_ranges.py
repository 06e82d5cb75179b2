from __future__ import annotations

import argparse

import pytest

from pamiq_lightning.utils.ranges import Factor, Port, Rate, find_range, option


@pytest.mark.parametrize(
    "hint, text, value",
    [(Port, "1", 1), (Port, "65535", 65535), (Factor, "0.5", 0.5), (Rate, "10", 10.0)],
)
def test_an_option_takes_a_number_in_its_range(hint: object, text: str, value: float) -> None:
    assert option(hint)(text) == value


@pytest.mark.parametrize("hint", [Port, Factor, Rate])
@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "1e9", "many", ""])
def test_an_option_refuses_every_other_text(hint: object, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be a"):
        option(hint)(text)


def test_the_range_of_a_union_is_that_of_its_number() -> None:
    assert find_range(Port | None) == find_range(Port)
    assert find_range(str | None) is None
