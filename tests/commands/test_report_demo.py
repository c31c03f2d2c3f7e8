"""`xpronet report --demo` and what does not go with it; the browser is only opened where that is asked for."""

from pathlib import Path

import pytest

from xpronet.cli import run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["report"], "no model given"),
        (["report", "demo", "--demo"], "leave out the model and the images"),
        (["report", "demo", "a.png", "--seed", "3"], "--seed is of a drawn study; add --demo"),
        (["report", "demo", "a.png", "--open"], "--open opens a page; add --html FILE"),
        (["report", "--demo", "--seed", "-1"], "seed = -1"),
        (["report", "--demo", "--html", "page.html"], "--demo writes a folder"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert told in capsys.readouterr().err


def test_the_page_is_opened_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.chdir(tmp_path)
    assert run(["report", "--demo"]) == 0
    assert not opened
    assert run(["report", "--demo", "--open"]) == 0
    assert opened == [(tmp_path / "report_demo/report.html").as_uri()]
    images = ["report_demo/frontal.png", "report_demo/lateral.png"]
    first = " ".join(capsys.readouterr().out.split())
    assert run(["report", "demo", *images, "--html", "page.html", "--open"]) == 0
    told = capsys.readouterr()
    assert told.out.strip() in first
    assert "Drawn X-rays only: worthless on patients." in told.err
    assert opened[-1] == (tmp_path / "page.html").as_uri()
