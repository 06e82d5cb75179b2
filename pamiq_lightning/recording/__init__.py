"""What was lived, on disk, in the layout of LeRobotDataset v3.0."""
