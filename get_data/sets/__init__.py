"""Sets to train on: chosen, split, described; in and out of other tools; frozen."""
