"""Live views of a drive, on the terminal and in a browser."""
