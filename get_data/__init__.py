"""The scripts, and the packages that only they use."""
