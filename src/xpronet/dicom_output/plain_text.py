"""Text as DICOM values allow it."""

from xpronet.images.dicom_study import is_control


def one_line(text: str, longest: int) -> str:
    """Return text for a short DICOM value: no control characters, no backslash (it separates values).

    Prose that is too long is cut; identifiers must not come here, for a cut number may be another's.
    """
    plain = "".join(" " if is_control(character) else character for character in text.replace("\\", "/"))
    return " ".join(plain.split())[:longest].strip()


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text for DICOM: without control characters, lines separated by CR LF."""
    lines = ["".join(c for c in line if c == "\t" or not is_control(c)).rstrip() for line in text.splitlines()]
    blocks = "\n".join(lines).split("\n\n")
    return [block.strip("\n").replace("\n", "\r\n") for block in blocks if block.strip()]
