"""A database on one machine: an SQLite file and a folder of pictures."""
