"""Drives of other tools, read record by record and recorded as drives of ours."""
