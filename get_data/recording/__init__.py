"""Recordings: pictures and labels written to disk while a car drives."""
