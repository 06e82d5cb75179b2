"""VRChat as a world."""
