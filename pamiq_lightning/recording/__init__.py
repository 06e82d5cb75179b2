"""Recordings of the agent's steps on disk, in the format LeRobotDataset v3.0."""
