"""What acts: the real-time loop, the actor, capture and OSC, and the worlds."""
