"""The durable memory of the engine: journal.py says what it can do, sqlite.py does it."""
