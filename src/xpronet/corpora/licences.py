"""Licences of corpora: what the Hugging Face hub calls them, and which let others have what was made from a corpus."""

import re
from typing import Final

OTHER: Final = "other"
"""What the hub calls every other licence."""
SHAREABLE: Final = (
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
)
"""The hub's names of licences that let others have adapted works, on their terms."""
HUB_LICENCES: Final = (*SHAREABLE, "cc-by-nd-4.0", "cc-by-nc-nd-4.0")
"""The hub's names of licences that corpora state: "CC BY-NC-ND 4.0 (its owner)", for example."""


def hub_licence(licence: str) -> str:
    """Return the hub's name of a licence as a corpus states it, "other" where it has none."""
    return next((name for name in HUB_LICENCES if f"{_plain(licence)} ".startswith(f"{_plain(name)} ")), OTHER)


def allows_derived_works(licence: str) -> bool:
    """Return whether a licence is known to let others have what was learned from its images and texts.

    Those that forbid it do not, nor do those of credentialed data and those that nobody stated.
    """
    return hub_licence(licence) in SHAREABLE


def _plain(licence: str) -> str:
    return " ".join(re.findall(r"[a-z0-9.]+", licence.lower()))
