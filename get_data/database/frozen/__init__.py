"""Frozen sets: their files in the picture store, and what they name."""
