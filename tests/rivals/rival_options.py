"""What rivals need on as few and as small studies as tests have."""

from typing import Any

HIERARCHICAL = ("coat", "hrgr", "cmas", "sentsat_kg", "kerp")
OPTIONS: dict[str, dict[str, Any]] = {
    "hrgr": {"template_share": 0.1},
    "kerp": {"template_share": 0.1},
    "ratchet": {"head_width": 8},
}
"""What a model needs on so few and so small studies."""
