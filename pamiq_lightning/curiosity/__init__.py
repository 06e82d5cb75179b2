"""Intrinsic rewards, one a file; each a function of the transitions that the actor has seen."""
