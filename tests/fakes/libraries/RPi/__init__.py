"""Fake of the package RPi, for tests that need no namespace."""
