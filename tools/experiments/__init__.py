"""Experiments on curiosity: a grid of runs under lockstep, and what came of it."""
