"""What acts: the real-time loop, its mind, its body and the worlds it can live in."""
