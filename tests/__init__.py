"""Tests of the project."""

import os

# Workers share the cores, and the threads of numpy's linear algebra wait by spinning: with a thread
# for each core, small systems of equations took ten times the processor time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
