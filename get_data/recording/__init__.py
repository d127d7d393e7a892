"""Recordings: pictures and labels written to disk while the car drives."""
