"""Files of earlier versions, one folder per layout; see README.md."""

from pathlib import Path

LAYOUTS = sorted(file.parent for file in Path(__file__).parent.glob("*/expected.json"))
