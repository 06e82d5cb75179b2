"""The parts of an agent, built from settings in a tool's own process."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from agent.lifecycle import build
from agent.settings.compose import compose, read_command_line
from agent.settings.schema import Settings, parse
from pamiq_lightning.curiosity.base import Curiosity
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.step import StepShape


def load_settings(*arguments: str) -> Settings:
    """Return the settings of `conf=NAME key=value ...`; the size is tiny unless one is named.

    Raises:
        UsageError: an argument is wrong.
    """
    composed = compose(read_command_line(arguments), lambda: "tiny")
    return parse(composed)


@dataclass
class Parts:
    """Learners, the modules that act, and the reward."""

    settings: Settings
    curiosity: Curiosity
    learners: dict[str, Learner]
    acting: dict[str, nn.Module]
    shape: StepShape

    def open_exchange(self) -> build.Exchange:
        """Open an exchange; the caller removes it."""
        roles = tuple(self.learners)
        return build.open_exchange(self.shape, self.settings.rollout_length, self.acting, roles)


def build_parts(settings: Settings, info_names: tuple[str, ...] = ()) -> Parts:
    """Build the parts; the defaults of learners are filled in the settings."""
    curiosity = build.build_curiosity(settings)
    build.enable_aux_heads(settings, [curiosity])
    learners = build.build_learners(settings)
    acting = {r: module for r, learner in learners.items() if (module := learner.acting_module)}
    return Parts(settings, curiosity, learners, acting, build.step_shape(learners, info_names))
