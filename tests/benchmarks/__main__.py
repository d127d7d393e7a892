"""All benchmarks, one after the other: what `make bench` runs."""

from tests.benchmarks import learning, rate_held, recorder

learning.main([])
recorder.main([])
rate_held.main([])
