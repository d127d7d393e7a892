"""All benchmarks, one after the other: what `make bench` runs."""

from tests.benchmarks import learning

learning.main([])
