"""Widgets: each shows what it is given and tells by signals what a person wants."""
