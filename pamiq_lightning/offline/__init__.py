"""Learning from recordings, one learner at a time, with the Lightning CLI."""
