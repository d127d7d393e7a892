"""Drivers of pads, their maps, and the display of `--check-pad`."""
