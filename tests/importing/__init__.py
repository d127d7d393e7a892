"""Drives of other tools, imported."""
