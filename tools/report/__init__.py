"""One run on one page: `python -m tools.report RUN`."""
