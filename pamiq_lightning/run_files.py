"""The names of the files in a run's folder that the trainer and the recorder write.

`agent.run_dir` has all names of a run's folder, these included.
"""

from __future__ import annotations

CHECKPOINTS = "checkpoints"
RECORDING = "recording"
METRICS = "metrics.jsonl"
PREVIEWS = "previews"
LIVE_PREVIEW = "live.png"
"""The newest preview, for the live page."""
TRAINER_LOG = "trainer.log"
STEP_LOG, STEP_LOG_FIELDS = "step_log.bin", "step_log.json"
AIM_RUN, AIM_LOCK = "aim_run", "aim_run.lock"
"""The hash of the run in Aim, and the lock of the process that writes to that."""
