"""The database of one machine: an SQLite file and a folder of pictures."""
