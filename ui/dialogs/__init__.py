"""Dialogs: opened without a nested event loop, they hand back frozen values."""
