"""Moves transfers through their states: one TaskGroup, workers that pull, and cancels with a confirmed ending."""
