"""The card that every prepared corpus has: its licence, counts and limits, and nothing of its reports."""

from pathlib import Path

import pytest
import yaml

from xpronet.corpora.dataset_card import write_dataset_card
from xpronet.corpora.licences import allows_derived_works, hub_licence
from xpronet.data.corpus import Corpus, write_corpus
from xpronet.data.study import Study, View


def test_a_drawn_corpus_has_one(phantom: Corpus) -> None:
    card = (phantom.folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert front["size_categories"] == ["n<1K"] or front["size_categories"] == "n<1K"
    assert "synthetic" in front["tags"]
    assert "| studies | 28 | 4 | 8 |" in card
    assert "* Made by `xpronet prepare phantom`" in card
    assert "worthless on patients" in card
    assert not [study for study in phantom.studies if study.report in card or study.id in card]


def test_it_tells_what_makes_scores_too_good(tmp_path: Path) -> None:
    def study(number: int, split: str, patient: str | None) -> Study:
        views = (View(path=f"images/{number}.png", position="PA", width=64, height=64),)
        return Study(id=f"s{number}", split=split, views=views, report="Clear.", patient=patient)

    studies = [study(1, "train", "a"), study(2, "test", "a"), study(3, "train", "b")]
    write_corpus(tmp_path, studies, name="films", licence="unknown", made={"command": "prepare table", "form": "csv"})
    write_dataset_card(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "* 1 patients are in more than one split" in card
    assert "* Patients: 2" in card
    assert "* Views: PA 3" in card
    assert "Not stated. Ask whoever made the images" in card
    assert yaml.safe_load(card.split("---\n")[1])["license_name"] == "unknown"


@pytest.mark.parametrize(
    ("licence", "name", "allows"),
    [
        ("Apache-2.0; drawn by a program, shows no person", "apache-2.0", True),
        ("CC BY-NC-ND 4.0 (Open-i, Indiana University)", "cc-by-nc-nd-4.0", False),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0", True),
        ("CC BY 4.0", "cc-by-4.0", True),
        ("Mitigated terms", "other", False),
        ("PhysioNet Credentialed Health Data License 1.5.0", "other", False),
        ("", "other", False),
    ],
)
def test_licences(licence: str, name: str, allows: bool) -> None:
    assert (hub_licence(licence), allows_derived_works(licence)) == (name, allows)
