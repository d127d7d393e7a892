"""All benchmarks, one after the other: what `make bench` runs."""

from tests.benchmarks import learning, local_index, rate_held, recorder

learning.main([])
recorder.main([])
rate_held.main([])
local_index.main([])
