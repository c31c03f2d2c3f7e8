"""The outside package: the installed one, or else the sources beside these tests."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("xpronet_outside") is None:
    sys.path.append(str(Path(__file__).parent / "package" / "src"))
