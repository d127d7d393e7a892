"""What the scripts share: arguments, output, files, exit codes, signals."""
