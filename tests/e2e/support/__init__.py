"""What the stories need: a desktop, a hand, a drag source, the program under a probe, and eyes for its truths."""
