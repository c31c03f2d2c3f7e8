"""The first report: a drawn study, its images to keep, and a page with evidence."""

from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.experiment.demo_report import draw_demo_study, write_demo_report
from xpronet.files import read_json
from xpronet.images.read import read_grey


def test_images_page_and_numbers_of_the_same_report(tmp_path: Path) -> None:
    out = tmp_path / "first"
    made = write_demo_report(out)
    assert sorted(path.name for path in out.iterdir()) == ["frontal.png", "lateral.png", "report.html", "report.json"]
    assert (read_grey(made.views[0]) == made.drawn.views["PA"][0]).all()
    page, answer = made.page.read_text(), read_json(out / "report.json")
    assert answer["report"] == made.report.text
    assert answer["words"]
    assert "worthless on patients" in page
    assert made.drawn.report.split(".")[0] in page
    drawn, seen, report, *_ = made.lines()
    assert drawn == "Drawn:  Cardiomegaly (large), Pneumothorax (moderate left)"
    assert seen == "Seen:   Cardiomegaly 1.00, Pneumothorax 1.00"
    assert "left pneumothorax" in report
    assert write_demo_report(out, seed=1).report.text != made.report.text, "an earlier demo is replaced"
    (out / "mine.txt").touch()
    with pytest.raises(InputError, match="holds something other than an earlier demo"):
        write_demo_report(out)


def test_another_seed_is_another_study() -> None:
    first, again, other = draw_demo_study(5), draw_demo_study(5), draw_demo_study(6)
    assert (first.views["PA"][0] == again.views["PA"][0]).all()
    assert (first.views["PA"][0] != other.views["PA"][0]).any()
