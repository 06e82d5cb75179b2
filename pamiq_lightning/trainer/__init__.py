"""The trainer process: a Fabric loop over the learners, its logs and its checkpoints."""
