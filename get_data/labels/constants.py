"""Names and limits of labels that options know, too: this module imports nothing."""

AUTO = "auto"  # author of labels with the driver's own command
PILOT = "pilot"  # author of labels with the command of a model that drove
NOBODY = "nobody"  # of imported pictures that have not been labelled
NOT_PEOPLE = frozenset({AUTO, PILOT, NOBODY})
SESSION_KEYS = ("event", "track", "track_type", "driver", "comment")
PARTS = ("train", "val", "test")  # of a set, in their order: values of `split`
MAX_CLASSES = 99

STANDING_S = 1.0
"""How long a car without throttle is recorded; then recording waits for the throttle."""
