"""A model that drives the car: its file, and its place behind the pad's seam."""
