"""Which of a report's sections becomes the text to be learned."""

from collections.abc import Mapping
from typing import Literal

TextChoice = Literal["findings", "impression", "both"]
MissingChoice = Literal["drop", "other"]
TEXT_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "findings": ("findings",),
    "impression": ("impression",),
    "both": ("findings", "impression"),
}
"""The sections that make up the text, in order, by the name of the choice."""


NEITHER = "neither findings nor impression"


def chosen_text(sections: Mapping[str, str], text: TextChoice, missing: MissingChoice) -> tuple[str, str | None]:
    """Return the text to be learned, and why there is none as a noun ("no findings").

    Args:
        sections: the report's, by lower-case name.
        text: findings, impression, or both with a blank line between.
        missing: what a study does that lacks a section asked for: `drop` leaves it out, `other` takes what there is
            of findings and impression.
    """
    there = [sections[name] for name in TEXT_SECTIONS[text] if sections.get(name)]
    if len(there) < len(TEXT_SECTIONS[text]) and missing == "drop":
        if there or len(TEXT_SECTIONS[text]) == 1:
            return "", "no " + next(name for name in TEXT_SECTIONS[text] if not sections.get(name))
        return "", NEITHER
    if not there:
        there = [sections[name] for name in TEXT_SECTIONS["both"] if sections.get(name)]
    return ("\n\n".join(there), None) if there else ("", NEITHER)
