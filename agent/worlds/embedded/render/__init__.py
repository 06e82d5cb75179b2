"""The software rasterizer."""
