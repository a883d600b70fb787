"""Turns dropped paths into the files of a batch, in a thread, and reports what it took and what it did not."""
