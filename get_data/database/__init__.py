"""Labels and pictures of a team or of one machine: upload, search, download, delete."""
