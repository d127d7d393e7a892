"""A Pi's system without a Pi: Debian 12 and 13 for 64-bit ARM, its programs run by QEMU.

    make virtualpi ARCH=arm64

In each, the commands of docs/raspberry_pi.md are run as they stand there (`documented.py`), then
the quick tests of what a Pi runs, with the numpy of that system; last, the instructions that a
picture and a control tick cost are counted (`costs.py`). It takes about an hour, so it is no part
of `make test`. A part that was made is kept: the Debians, and the packages of apt and pip.
"""
