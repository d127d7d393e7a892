"""The labelizer in a real browser."""
