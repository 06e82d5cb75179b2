"""Frame sources: screen, camera, video."""
