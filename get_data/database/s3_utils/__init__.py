"""The picture store of a team: S3."""
