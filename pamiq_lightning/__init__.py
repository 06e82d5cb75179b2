"""The learning side: nets, learners, replay, background trainer. Imports nothing from agent."""
