"""What learns: networks, learners, replay, and the background trainer. Imports nothing of agent."""
