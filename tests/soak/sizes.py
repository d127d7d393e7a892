"""Size of a trial, which the tests of the soak make smaller."""

LABELS = 1200  # two batches
