"""Rewards the agent gives itself, one a file; each a pure function of what the mind knows."""
