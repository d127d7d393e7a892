"""Search files and their meaning."""
