"""What many tests share: where outside data lies, and skipping with the reason where it is absent."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data beside the checkout ({SHARED.name}/ is absent)")
    return SHARED
