"""One module an API; each is a thin room over the same core."""
