"""Base of the toolkit, independent of cars and labels."""
