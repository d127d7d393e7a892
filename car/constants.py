"""Names and limits of the car that options know, too: this module imports nothing."""

TRACKS = ("school", "park")
"""The simulated tracks, of which the first is driven unless another is asked for."""

SEEDS = 2**32
"""Number of seeds of a simulated drive."""

MIN_PILOT_RATE_HZ = 10.0
"""Pictures a second that a pilot needs: between two of them the car drives blindly."""
