"""The script that runs the cases from the field, on cases of our own."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "field_cases.py"


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False)


def write_case(folder: Path, report: str, right: str) -> None:
    folder.mkdir(parents=True)
    (folder / "sentences.csv").write_text(f"id,report,right,now\na-0,{report},{right},\n", encoding="utf-8")


def test_counts_what_is_right_in_each_folder_and_names_what_is_not_checked(tmp_path):
    write_case(tmp_path / "label-or", "No edema.", "Edema=0|")
    (tmp_path / "something-new").mkdir()
    told = run(tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == ["label-or", "1/1", "all", "1/1", "not", "checked:", "something-new"]


def test_says_what_is_wrong(tmp_path):
    write_case(tmp_path / "label-or", "No edema.", "Edema=1")
    told = run(tmp_path)
    assert told.returncode == 1
    assert "a-0: Edema=0 instead of 1" in told.stdout
    assert "0/1" in told.stdout


def test_names_a_folder_that_is_not_there(tmp_path):
    told = run(tmp_path / "nowhere")
    assert told.returncode == 2
    assert "is no folder" in told.stderr
