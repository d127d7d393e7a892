"""The guarantees at full length: hundreds of kills, full disks, stalls, clock jumps, power cuts.

`make soak` runs all of it; `tests/test_soak.py` a few trials of each.
"""
