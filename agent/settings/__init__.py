"""Settings of a run: schema, composition from files and the command line, help."""
