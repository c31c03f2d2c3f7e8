"""The picture of the rooms is the one that the import graph gives."""

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_picture_is_up_to_date(tmp_path: Path) -> None:
    drawn = tmp_path / "architecture.svg"
    subprocess.run([sys.executable, str(DOCS / "draw_architecture.py"), str(drawn)], check=True)
    assert drawn.read_text() == (DOCS / "explanation" / "architecture.svg").read_text(), (
        "run python docs/draw_architecture.py"
    )


def test_every_room_has_a_row() -> None:
    picture = (DOCS / "explanation" / "architecture.svg").read_text()
    rooms = [path.name for path in (DOCS.parent / "src" / "xpronet").iterdir() if (path / "__init__.py").is_file()]
    assert len(rooms) > 10
    assert all(f">{room}</text>" in picture for room in rooms)
