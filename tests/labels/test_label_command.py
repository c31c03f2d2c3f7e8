import json
from pathlib import Path

import pytest

from xpronet.commands.label import label
from xpronet.data.corpus import write_corpus
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.labels.findings import State
from xpronet.labels.label_tables import read_labels, write_labels

REPORTS = {
    "a": ("train", "The heart is enlarged.", "Cardiomegaly."),
    "b": ("val", "Small left pleural effusion.", "Possible edema."),
    "c": ("val", "No acute disease.", "No acute disease."),
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    studies = [
        Study(id=name, split=split, views=(), report=report, sections={"impression": impression})
        for name, (split, report, impression) in REPORTS.items()
    ]
    write_corpus(folder, studies, name="small", licence="none", made={})
    return folder


def test_writes_labels_of_every_split_once(corpus, capsys):
    label(corpus)
    labels = read_labels(corpus / "labels.csv", list(REPORTS))
    assert labels["a"]["Cardiomegaly"] is State.POSITIVE
    assert labels["b"]["Pleural Effusion"] is State.POSITIVE
    assert "3 studies labelled by rules" in capsys.readouterr().out
    with pytest.raises(InputError, match="--overwrite"):
        label(corpus)
    label(corpus, section=("impression",), overwrite=True)
    assert read_labels(corpus / "labels.csv", ["b"])["b"]["Edema"] is State.UNCERTAIN
    assert sorted(path.name for path in corpus.iterdir()) == ["corpus.json", "labels.csv", "studies.jsonl"]


def test_compares_with_a_table_and_writes_no_labels(corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = tmp_path / "table.csv"
    write_labels(table, [("b", {"Edema": State.POSITIVE}), ("c", {})])
    label(corpus, against=table, split="val", json=tmp_path / "out.json")
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "Edema: 1 only in the table (b)" in printed
    assert "…" not in printed
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["agreement"]["13"]["studies"] == 2
    assert record["disagreements"]["Pleural Effusion"] == {"only_labeler": ["b"], "only_table": []}
    assert not (corpus / "labels.csv").exists()
    with pytest.raises(InputError, match=r"1 of 3 studies \(a\)"):
        label(corpus, against=table)


def test_explains_a_study(corpus, capsys):
    label(corpus, explain="b")
    printed = capsys.readouterr().out
    assert "Small left pleural effusion." in printed
    assert "Pleural Effusion: positive, “pleural effusion”" in printed
    assert not (corpus / "labels.csv").exists()


def test_labels_with_chexbert(corpus, tiny_chexbert, capsys):
    label(corpus, labeler="chexbert", weights=str(tiny_chexbert / "chexbert.pth"))
    assert "labelled by chexbert (chexbert.pth" in capsys.readouterr().out
    assert len(read_labels(corpus / "labels.csv", list(REPORTS))) == 3
    assert not (corpus / "labels.csv.unfinished").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"labeler": "chexbert"}, "--weights"),
        ({"weights": "x.pth"}, "no weights"),
        ({"labeler": "chexbert", "convention": "negbio"}, "has learned its convention"),
        ({"split": "val"}, "--against"),
        ({"json": Path("x.json")}, "--against"),
        ({"explain": "z"}, "no study 'z'"),
        ({"explain": "a", "labeler": "chexbert"}, "cannot tell why"),
        ({"section": ("conclusion",)}, r"3 studies \(a, b, c\)"),
    ],
)
def test_what_cannot_be_asked(corpus, options, told):
    with pytest.raises(InputError, match=told):
        label(corpus, **options)


def test_a_convention_changes_the_labels(corpus):
    label(corpus, convention="chexpert", section=("impression",))
    assert read_labels(corpus / "labels.csv", ["a"])["a"]["Cardiomegaly"] is State.POSITIVE
    (corpus / "labels.csv").unlink()
    write_texts(corpus, {"a": "Edema or pneumonia."})
    for convention, state in {"chexpert": State.UNCERTAIN, "negbio": State.POSITIVE}.items():
        label(corpus, convention=convention, overwrite=True)
        assert read_labels(corpus / "labels.csv", ["a"])["a"]["Edema"] is state


def test_tells_of_reports_that_are_not_in_english(corpus, capsys):
    label(corpus)
    assert "English" not in capsys.readouterr().out
    write_texts(corpus, {"a": "Kein Pneumothorax.", "b": "Pas de pneumothorax.", "c": "Small effusion."})
    label(corpus, overwrite=True)
    assert "2 reports do not seem to be in English (a, b); the rules" in capsys.readouterr().out
    assert set(read_labels(corpus / "labels.csv", ["a"])["a"].values()) == {State.NOT_MENTIONED}


def write_texts(folder: Path, reports: dict[str, str]) -> None:
    """Put other studies in place of a corpus's."""
    for name in ("corpus.json", "studies.jsonl"):
        (folder / name).unlink()
    studies = [Study(id=name, split="train", views=(), report=report, sections={}) for name, report in reports.items()]
    write_corpus(folder, studies, name="small", licence="none", made={})
