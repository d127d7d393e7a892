"""Names of the formats that can be imported."""

TUB, ORIGINAL, PICTURES = "tub", "42ai", "pictures"
FORMATS = (TUB, ORIGINAL, PICTURES)
