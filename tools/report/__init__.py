"""One run on one page: what it left (`lived`), drawn (`charts`, `maps`, `strips`), put together."""
