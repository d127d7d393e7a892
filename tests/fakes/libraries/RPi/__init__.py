"""Stands in for the package RPi where there are no namespaces, or no time to make one."""
