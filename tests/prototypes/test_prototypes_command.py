import re
from pathlib import Path

import numpy as np
import pytest

from xpronet.commands.prototypes import prototypes
from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.prototypes.bank import PrototypeBank

TINY = {"depth": 18, "width": 8, "size": 64, "per_finding": 2, "text_width": 3}


def test_the_command_writes_a_bank_and_says_what_it_is_made_of(
    hearts: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "prototypes.safetensors"
    prototypes(hearts.folder, out=out, **TINY)
    bank = PrototypeBank.load(out)
    assert bank.vectors.shape == (28, 64 + 3)
    assert (bank.counts["Cardiomegaly"], bank.counts["No Finding"], bank.counts["Pleural Effusion"]) == (6, 6, 0)
    assert (bank.image_encoder, bank.text_encoder) == ("resnet18, width 8 (random, seed 0)", "tfidf-3")
    # Large and normal hearts must not come out alike.
    assert np.abs(bank.of("Cardiomegaly").mean(0) - bank.of("No Finding").mean(0)).max() > 0.05
    said = capsys.readouterr().out
    assert re.search(r"Cardiomegaly\W+6\b", said)
    assert "Fracture: no study has it" in said
    assert "28 prototypes of width 67" in said


def test_the_same_seed_gives_the_same_bytes(hearts: Corpus, tmp_path: Path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        prototypes(hearts.folder, out=tmp_path / name, seed=seed, mode="split", **TINY)
    first, again, other = ((tmp_path / name).read_bytes() for name in ("first", "again", "other"))
    assert first == again != other


def test_an_existing_file_is_refused_before_the_work(hearts: Corpus, tmp_path: Path):
    out = tmp_path / "prototypes.safetensors"
    out.write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        prototypes(hearts.folder, out=out, depth=101, width=64)
    assert out.read_text() == "mine"
    prototypes(hearts.folder, out=out, overwrite=True, **TINY)
    assert PrototypeBank.load(out).per_finding == 2


def test_a_mistake_leaves_no_file(hearts: Corpus, tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.pth"):
        prototypes(hearts.folder, out=tmp_path / "out.safetensors", weights=str(tmp_path / "absent.pth"), **TINY)
    with pytest.raises(InputError, match="no text model here"):
        prototypes(hearts.folder, out=tmp_path / "out.safetensors", text=str(tmp_path / "bert"), **TINY)
    assert not list(tmp_path.iterdir())
