"""The schema of one row of experience; every other file takes its keys, shapes and types from here.

Row t is written in tick t: the observation (`frame`, `latent`), the recurrent `state` of the
dynamics before this observation, the `action`, and the raw `reward` of the transition t-1 -> t.
Therefore reward_{t+1} rewards action_t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ACTING_ROLES = ("encoder", "dynamics", "policy")
"""The roles whose weights the agent uses, in the order of the row's `versions`."""

NO_ACTION = -1
"""The last choice in each category where there is no last action."""

LOGGED_REWARD_PREFIX = "reward_"
"""Prefix of the names in `info` of rewards that are logged but train no policy."""


@dataclass(frozen=True)
class Field:
    """Shape (without the row dimension), numpy type and meaning of one key of a row."""

    shape: tuple[int, ...]
    dtype: DTypeLike
    meaning: str


@dataclass(frozen=True)
class StepShape:
    """The sizes that determine the shapes of a row.

    Attributes:
        frame_size: height and width of a frame, in pixels.
        latent: (P, D), tokens and features of a latent.
        state: (depth, dim) of the dynamics' recurrent state.
        action_choices: choices of each action category.
        info_names: names of the numbers in `info`.
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
            "frame": Field((3, self.frame_size, self.frame_size), np.uint8, "observation, RGB"),
            "latent": Field(self.latent, np.float32, "the encoder's output for the frame"),
            "state": Field(self.state, np.float32, "the dynamics' state before this frame"),
            "action": Field((len(self.action_choices),), np.int64, "choice in each category"),
            "last_action": Field(
                (len(self.action_choices),), np.int64, "action of t-1; NO_ACTION where is_first"
            ),
            "log_prob": Field((), np.float32, "joint log-probability of the action"),
            "value": Field((), np.float32, "the policy's value estimate, for display only"),
            "reward": Field((), np.float32, "raw reward of t-1 -> t; 0 where is_first"),
            "is_first": Field((), np.bool_, "first after a start, a resume or a gap"),
            "valid": Field((), np.bool_, "the observation is valid"),
            "versions": Field((versions,), np.int64, "of the weights of encoder, dynamics, policy"),
            "time": Field((), np.float64, "monotonic seconds when the frame was taken"),
            "info": Field((len(self.info_names),), np.float32, "ground truth; no learner reads it"),
        }


def is_transition(steps: Mapping[str, Any]) -> Any:
    """Return which neighbouring rows of steps (N, ...) are a valid transition t -> t+1.

    No valid transition leads into an `is_first` row, into or out of an invalid row, or across a
    jump of `index`.

    Args:
        steps: numpy arrays or tensors; the result is of the same kind.

    Returns:
        bool (N-1,)
    """
    follows = steps["index"][1:] == steps["index"][:-1] + 1
    valid = steps["valid"][1:] & steps["valid"][:-1]
    return follows & valid & ~steps["is_first"][1:]


def last_actions(steps: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the last action of each row of unbroken or broken steps (N, ...).

    It is NO_ACTION at the first row, at every `is_first`, and after every jump of `index`.

    Returns:
        (N, A)
    """
    last = np.full_like(steps["action"], NO_ACTION)
    follows = (np.diff(steps["index"]) == 1) & ~steps["is_first"][1:]
    last[1:][follows] = steps["action"][:-1][follows]
    return last


def is_transition_into(steps: Mapping[str, Any]) -> Any:
    """Return which rows of steps (N, ...) hold the reward of a transition: valid, not first.

    Returns:
        bool (N,)
    """
    return steps["valid"] & ~steps["is_first"]
