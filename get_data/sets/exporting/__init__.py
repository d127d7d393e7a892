"""Sets written for other tools: one module a format, above what the formats share."""
