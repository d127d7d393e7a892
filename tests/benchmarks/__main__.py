"""All benchmarks, one after the other: what `make bench` runs; or one, with its options.

python -m tests.benchmarks
python -m tests.benchmarks quality --seeds 2
"""

import sys

from tests.benchmarks import (
    backups,
    balance,
    check_database,
    delay,
    exports,
    frozen_sets,
    imports,
    label_reading,
    labelizer,
    learning,
    local_index,
    pulses,
    quality,
    rate_held,
    recorder,
    starts,
    stopping,
    team_labels,
    team_pictures,
    team_shards,
)

BENCHMARKS = {
    "learning": learning,
    "starts": starts,
    "recorder": recorder,
    "rate_held": rate_held,
    "stopping": stopping,
    "pulses": pulses,
    "local_index": local_index,
    "backups": backups,
    "check_database": check_database,
    "delay": delay,
    "balance": balance,
    "quality": quality,
    "exports": exports,
    "frozen_sets": frozen_sets,
    "imports": imports,
    "label_reading": label_reading,
    "labelizer": labelizer,
    "team_pictures": team_pictures,
    "team_labels": team_labels,
    "team_shards": team_shards,
}

if len(sys.argv) > 1:
    if sys.argv[1] not in BENCHMARKS:
        raise SystemExit(f"no benchmark {sys.argv[1]!r}; there are {', '.join(BENCHMARKS)}")
    raise SystemExit(BENCHMARKS[sys.argv[1]].main(sys.argv[2:]))
for benchmark in BENCHMARKS.values():
    benchmark.main([])
