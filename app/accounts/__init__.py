"""The servers a person has added, and where their secrets are kept."""
