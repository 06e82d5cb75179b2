"""One run from start to summary: build, resume, record, stop."""
