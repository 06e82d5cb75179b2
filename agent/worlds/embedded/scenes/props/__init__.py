"""Pieces of the street, each built into a mesh; fronts look to -y in their own frame."""
