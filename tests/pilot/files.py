"""Files of pilots."""

import json


def content(*, steering=0.1, throttle=0.3, **changes):
    """Return the content of a file whose pilot always gives the same command."""
    layer = {"weights": [[0.0, 0.0]] * 12, "bias": [steering, throttle]}
    head = {"format": "patate-pilot", "version": 1, "width": 4, "height": 3}
    return {**head, "layers": [layer], **changes}


def write(file, **changes):
    file.write_text(json.dumps(content(**changes)))
    return file
