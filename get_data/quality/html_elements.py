"""Elements of an HTML page, made as a tree: whatever a text holds, it stays text."""

from xml.etree.ElementTree import Element, SubElement, tostring

DOCTYPE = "<!DOCTYPE html>\n"


def add(
    parent: Element, tag: str, text: str = "", classes: str = "", **attributes: object
) -> Element:
    """Append an element with a text and return it; `_` in an attribute's name stands for "-"."""
    named = {name.replace("_", "-"): str(value) for name, value in attributes.items()}
    if classes:
        named["class"] = classes
    element = SubElement(parent, tag, named)
    element.text = printable(text)
    return element


def printable(text: str) -> str:
    """Return the text without characters that no page may hold, such as control characters."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def serialize(page: Element) -> bytes:
    """Return the document in UTF-8."""
    text = tostring(page, encoding="unicode", method="html")
    return (DOCTYPE + text + "\n").encode(errors="replace")
