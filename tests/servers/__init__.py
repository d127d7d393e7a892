"""Starts the real servers, Elasticsearch and an S3, for tests and for a try on a laptop."""
