"""What each script does, once its options are read."""
