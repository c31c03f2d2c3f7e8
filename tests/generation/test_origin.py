"""What stands beside predictions leads back to the model, wherever the folders move together."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from xpronet.data.corpus import open_corpus
from xpronet.errors import InputError
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import Provenance, provenance_path, read_provenance, write_predictions
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import fingerprint
from xpronet.model.search_settings import BeamSettings


@pytest.fixture
def place(tiny_run: Path, phantom_folder: Path, tmp_path: Path) -> tuple[Path, Provenance]:
    home = tmp_path / "home"
    shutil.copytree(tiny_run / "checkpoints" / "best", home / "run")
    shutil.copytree(phantom_folder, home / "corpus")
    generator = ReportGenerator(
        load_checkpoint(home / "run"), device=torch.device("cpu"), settings=BeamSettings(max_words=5)
    )
    path = home / "predictions.jsonl"
    return path, write_predictions(path, generator, run=home / "run", corpus=open_corpus(home / "corpus"), split="val")


def test_there_and_back_also_after_a_move(place: tuple[Path, Provenance], tmp_path: Path) -> None:
    path, origin = place
    assert read_provenance(path) == origin
    assert origin.model == fingerprint(origin.run)
    assert (origin.split, origin.studies, origin.labels_from, origin.beams) == ("val", 4, "predicted", 3)
    assert origin.rate == pytest.approx(4 / origin.seconds, rel=0.01)
    assert str(tmp_path) not in provenance_path(path).read_text()
    path.parent.rename(tmp_path / "elsewhere")
    moved = read_provenance(tmp_path / "elsewhere" / "predictions.jsonl")
    assert moved is not None
    assert moved.run == tmp_path / "elsewhere" / "run"
    assert moved.corpus == tmp_path / "elsewhere" / "corpus"


def test_it_speaks_of_those_predictions_only(place: tuple[Path, Provenance]) -> None:
    path, _ = place
    path.write_text(path.read_text() + "\n")
    assert read_provenance(path) is None
    provenance_path(path).unlink()
    assert read_provenance(path) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [({"format": 2}, "does not tell"), ({"beams": "many"}, "damaged"), ({"labels_from": "oracle"}, "damaged")],
)
def test_a_damaged_file_is_told(place: tuple[Path, Provenance], change: dict[str, object], told: str) -> None:
    path, _ = place
    record = json.loads(provenance_path(path).read_text())
    provenance_path(path).write_text(json.dumps(record | change))
    with pytest.raises(InputError, match=told):
        read_provenance(path)


def test_what_is_there_is_not_replaced(place: tuple[Path, Provenance]) -> None:
    path, origin = place
    generator = ReportGenerator(
        load_checkpoint(origin.run), device=torch.device("cpu"), settings=BeamSettings(max_words=5)
    )
    again = path.with_name("predictions.csv")  # another name, the same file beside it
    with pytest.raises(InputError, match="already exists"):
        write_predictions(again, generator, run=origin.run, corpus=open_corpus(origin.corpus), split="val")
    assert not again.exists()
    assert read_provenance(path) == origin
