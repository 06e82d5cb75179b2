"""The worlds an agent can live in: VRChat, and the embedded ones."""
