"""Files of earlier versions, one folder per layout; see README.md."""
