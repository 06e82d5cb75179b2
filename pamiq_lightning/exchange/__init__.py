"""Shared memory between agent and trainer; neither ever waits for the other."""
