import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import random_bank


def small_bank() -> PrototypeBank:
    bank = random_bank(image_width=4, text_width=3, per_finding=2, seed=5)
    return dataclasses.replace(bank, counts=dict.fromkeys(FINDINGS, 7), notes=("Ödem: a note",))


def test_a_bank_comes_back_as_it_was(tmp_path: Path):
    bank = small_bank()
    bank.save(tmp_path / "bank.safetensors")
    loaded = PrototypeBank.load(tmp_path / "bank.safetensors")
    for item in dataclasses.fields(PrototypeBank):
        assert np.array_equal(getattr(loaded, item.name), getattr(bank, item.name)), item.name
    assert loaded.width == 7


def test_the_same_bank_gives_the_same_bytes(tmp_path: Path):
    for name in ("first", "second"):
        small_bank().save(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_whoever_may_read_the_folder_may_read_the_bank(tmp_path: Path):
    (tmp_path / "other").touch()
    small_bank().save(tmp_path / "bank.safetensors")
    assert (tmp_path / "bank.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_nothing_is_overwritten_unasked(tmp_path: Path):
    path = tmp_path / "bank.safetensors"
    small_bank().save(path)
    with pytest.raises(InputError, match="already exists"):
        small_bank().save(path)
    small_bank().save(path, overwrite=True)


def test_findings_are_joined_by_name(tmp_path: Path):
    bank = small_bank()
    turned = dataclasses.replace(
        bank, findings=FINDINGS[::-1], vectors=bank.vectors.reshape(14, 2, 7)[::-1].reshape(28, 7)
    )
    turned.save(tmp_path / "turned.safetensors")
    loaded = PrototypeBank.load(tmp_path / "turned.safetensors")
    assert loaded.findings == FINDINGS
    assert np.array_equal(loaded.vectors, bank.vectors)


def test_other_findings_are_named(tmp_path: Path):
    small_bank().save(tmp_path / "bank.safetensors")
    wanted = ("Scoliosis", *(finding for finding in FINDINGS if finding != "Fracture"))
    with pytest.raises(InputError, match=r"other findings than the model's \(Scoliosis, Fracture\)"):
        PrototypeBank.load(tmp_path / "bank.safetensors", findings=wanted)


def metadata(**changes: object) -> dict[str, str]:
    bank = small_bank()
    about = {item.name: getattr(bank, item.name) for item in dataclasses.fields(bank) if item.name != "vectors"}
    about = {"format": 2, **about} | changes
    return {"prototype_bank": json.dumps({name: value for name, value in about.items() if value is not None})}


def test_files_that_are_no_bank_are_refused_in_one_line(tmp_path: Path):
    vectors = small_bank().vectors
    small_bank().save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    contents = {
        "empty": b"",
        "short": whole[:-50],
        "header": whole[:100],
        "text": b"not a bank, far from it",
        "pickle": pickle.dumps({"prototypes": vectors}),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    broken = vectors.copy()
    broken[3, 3] = np.nan
    files = {
        "weights": ({"conv1.weight": vectors}, None),
        "unlabelled": ({"prototypes": vectors}, None),
        "extra": ({"prototypes": vectors, "more": vectors}, metadata()),
        "double": ({"prototypes": vectors.astype(np.float64)}, metadata()),
        "flat": ({"prototypes": vectors.ravel()}, metadata()),
        "rows": ({"prototypes": vectors[:-1]}, metadata()),
        "nan": ({"prototypes": broken}, metadata()),
        "past": ({"prototypes": vectors}, metadata(format=1)),
        "future": ({"prototypes": vectors}, metadata(format=3)),
        "images": ({"prototypes": vectors}, metadata(images=[224])),
        "seedless": ({"prototypes": vectors}, metadata(seed=None)),
        "more": ({"prototypes": vectors}, metadata(colour="red")),
        "counts": ({"prototypes": vectors}, metadata(counts={"Edema": 1})),
        "per_finding": ({"prototypes": vectors}, metadata(per_finding="two")),
        "image_width": ({"prototypes": vectors}, metadata(image_width=8)),
        "list": ({"prototypes": vectors}, {"prototype_bank": "[1]"}),
        "no_json": ({"prototypes": vectors}, {"prototype_bank": "{"}),
    }
    for name, (tensors, about) in files.items():
        save_file(tensors, tmp_path / name, metadata=about)
    for name in (*contents, *files, "absent", "."):
        with pytest.raises(InputError) as raised:
            PrototypeBank.load(tmp_path / name)
        assert str(tmp_path / name) in str(raised.value)
        assert "\n" not in str(raised.value)
    save_file({"prototypes": vectors}, tmp_path / "right", metadata=metadata())
    assert PrototypeBank.load(tmp_path / "right").seed == 5
