"""The exchange: the only place where the agent and the trainer touch, and neither ever waits."""
