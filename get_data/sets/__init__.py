"""Sets and drives brought in from other tools, handed out to them, and frozen."""
