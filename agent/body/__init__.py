"""The agent's senses and limbs."""
