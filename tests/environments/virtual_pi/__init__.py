"""A small machine with the interfaces of a Pi, for tests on a kernel's own devices."""
