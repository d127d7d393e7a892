"""A browser page for correcting labels, and the server behind it."""
