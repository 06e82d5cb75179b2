"""A second encoder and second dynamics: one file and one YAML each."""
