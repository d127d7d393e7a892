"""The base of the toolkit, which knows nothing of cars or labels."""
