"""Labels: fields, ids, checks, edits and files."""
