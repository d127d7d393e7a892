"""Backups: all labels, tombstones and pictures of a database, in a folder."""
