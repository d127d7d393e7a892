"""Checks and measures of a real Pi, written into one report: `make onpi`."""
