"""What learns: one LightningModule a file. They know nothing of processes, files or worlds."""
