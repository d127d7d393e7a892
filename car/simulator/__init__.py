"""A simulated car, its driver and its track."""
