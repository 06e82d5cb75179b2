"""The schema of one row of experience; every other file takes its keys, shapes and types from here.

Row t is complete in tick t: what was seen (`frame`, `latent`), what the dynamics remembered before
seeing it (`state`), what was done (`action`), and the raw `reward` of the transition t-1 -> t. So
action_t is rewarded by reward_{t+1}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

ACTING_ROLES = ("encoder", "dynamics", "policy")
"""The roles whose weights act, in the order of the row's `versions`."""


LOGGED_REWARD_PREFIX = "reward_"
"""Begins the names in `info` of rewards that are written down and drive nobody."""


@dataclass(frozen=True)
class Field:
    """Shape (without the row dimension) and numpy type of one key of a row."""

    shape: tuple[int, ...]
    dtype: DTypeLike
    meaning: str


@dataclass(frozen=True)
class StepShape:
    """The sizes that fix a row's layout.

    Attributes:
        frame_size: height and width of a frame, in pixels.
        latent: (P, D), tokens and features of a latent.
        state: (depth, dim) of the dynamics' recurrent state.
        action_choices: choices of each action category.
        info_names: what each number of `info` is.
    """

    frame_size: int
    latent: tuple[int, int]
    state: tuple[int, int]
    action_choices: tuple[int, ...]
    info_names: tuple[str, ...] = ()

    def fields(self) -> dict[str, Field]:
        """Return every key of a row with its shape, type and meaning."""
        versions = len(ACTING_ROLES)
        return {
            "index": Field((), np.int64, "tick number, never reused; a jump is a gap"),
            "frame": Field((3, self.frame_size, self.frame_size), np.uint8, "what was seen, RGB"),
            "latent": Field(self.latent, np.float32, "the encoder's view of the frame"),
            "state": Field(self.state, np.float32, "the dynamics' state before this frame"),
            "action": Field((len(self.action_choices),), np.int64, "the choice in each category"),
            "log_prob": Field((), np.float32, "joint log-probability of the action when taken"),
            "value": Field((), np.float32, "the policy's value then, for display only"),
            "reward": Field((), np.float32, "raw reward of t-1 -> t; 0 where is_first"),
            "is_first": Field((), np.bool_, "first after a start, a resume or a gap"),
            "valid": Field((), np.bool_, "the senses were sound"),
            "versions": Field((versions,), np.int64, "weights of encoder, dynamics, policy"),
            "time": Field((), np.float64, "monotonic seconds when the frame was taken"),
            "info": Field((len(self.info_names),), np.float32, "ground truth; no learner reads it"),
        }


def is_transition(steps: Mapping[str, Any]) -> Any:
    """Tell which neighbouring rows of (N, ...) steps are a sound transition t -> t+1.

    A transition into an `is_first`, into or out of an invalid row, or across a jump of `index` is
    none.

    Args:
        steps: numpy arrays or tensors; the result is of the same kind.

    Returns:
        bool (N-1,)
    """
    follows = steps["index"][1:] == steps["index"][:-1] + 1
    valid = steps["valid"][1:] & steps["valid"][:-1]
    return follows & valid & ~steps["is_first"][1:]


def is_transition_into(steps: Mapping[str, Any]) -> Any:
    """Tell which rows of (N, ...) steps carry the reward of a transition: valid, and no first row.

    Returns:
        bool (N,)
    """
    return steps["valid"] & ~steps["is_first"]
