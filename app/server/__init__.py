"""The server that comes with Uphaul: an ASGI application that could run anywhere."""
