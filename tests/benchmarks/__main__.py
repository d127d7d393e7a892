"""All benchmarks, one after the other: what `make bench` runs."""

from tests.benchmarks import (
    backups,
    balance,
    check_database,
    delay,
    labelizer,
    learning,
    local_index,
    rate_held,
    recorder,
    stopping,
    team_labels,
    team_pictures,
)

learning.main([])
recorder.main([])
rate_held.main([])
stopping.main([])
local_index.main([])
backups.main([])
check_database.main([])
delay.main([])
balance.main([])
labelizer.main([])
team_pictures.main([])
team_labels.main([])
