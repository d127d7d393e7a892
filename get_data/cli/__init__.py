"""Code shared by the scripts: arguments, output, files, exit codes, signals."""
