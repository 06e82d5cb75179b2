"""The settings of the recorder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pamiq_lightning.utils.ranges import Range

Crf = Annotated[int, Range(0, 51)]


@dataclass
class RecordingSettings:
    """How a run is recorded.

    Args:
        max_gb: size of a recording (GB) beyond which its oldest episodes are removed.
        crf: constant rate factor of the video, 0 (best) to 51; about 6 more halve its size.
        lossless: store every pixel exactly; takes about six times the space.
    """

    max_gb: Annotated[float, Range(0, 10**6, above=True)] = 20.0
    crf: Crf = 27
    lossless: bool = False
