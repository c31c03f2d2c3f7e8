import argparse
import collections
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from xpronet.encoders.resnet import BackboneSettings
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.published_checkpoint import (
    PUBLISHED_CORPORA,
    export_published,
    import_published,
    read_authors_file,
    reorder_bank,
    to_published,
)
from xpronet.text.vocabulary import Vocabulary, build_vocabulary

REPORTS = ["The heart is normal. The lungs are clear."] * 10
SMALL = {"bank_rows": 42, "norm": "published", "findings_head": False}
BACKBONE = BackboneSettings(depth=18, width=2)


def vocabulary(dataset: str) -> Vocabulary:
    return build_vocabulary(REPORTS, PUBLISHED_CORPORA[dataset].vocabulary)


@pytest.fixture
def weights(make_network) -> dict[str, torch.Tensor]:
    network = make_network(num_words=len(vocabulary("iu-xray")), num_findings=14, **SMALL)
    return to_published(network.state_dict())


class Foreign:
    """Stands for any class of the authors' code."""


class Malicious:
    """Leaves a folder behind if a reader runs what the pickle asks for."""

    def __init__(self, folder) -> None:
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


def save(path, content, **kwargs):
    torch.save(content, path, **kwargs)
    return path


def same(found, weights):
    return list(found) == list(weights) and all(found[name].equal(tensor) for name, tensor in weights.items())


def test_every_form_of_the_file_gives_the_same_tensors(weights, tmp_path):
    state = collections.OrderedDict(weights)
    training = {
        "epoch": 12,
        "state_dict": state,
        "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]},
        "monitor_best": 0.5,
    }
    replicas = {f"module.{name}": tensor for name, tensor in state.items()}
    for number, content in enumerate(
        [
            state,
            dict(state),
            training,
            {**training, "args": argparse.Namespace(topk=15, betas=(0.9, 0.98), save_dir="results")},
            {**training, "state_dict": replicas},
            replicas,
        ]
    ):
        assert same(read_authors_file(save(tmp_path / f"{number}.pth", content)), weights)
    assert same(read_authors_file(save(tmp_path / "old.pth", training, _use_new_zipfile_serialization=False)), weights)
    save_file({name: tensor.clone() for name, tensor in weights.items()}, tmp_path / "model.safetensors")
    assert set(read_authors_file(tmp_path / "model.safetensors")) == set(weights)


def test_namespace_is_tolerated_only_while_reading(weights, tmp_path):
    path = save(tmp_path / "file.pth", {"state_dict": weights, "args": argparse.Namespace(topk=15)})
    read_authors_file(path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (Foreign(), r"test_authors_file\.Foreign"),
        (np.float64(0.5), r"numpy\.\w+\.multiarray\.scalar"),
        (argparse.Namespace(model=Foreign()), r"test_authors_file\.Foreign"),
    ],
    ids=["class", "numpy", "in a namespace"],
)
def test_other_objects_are_refused_by_name(weights, tmp_path, content, name, zipped):
    path = tmp_path / "file.pth"
    torch.save({"state_dict": weights, "args": content}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=rf"file\.pth: contains the Python object {name}, .* state_dict alone$"):
        read_authors_file(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_the_file_is_run(weights, tmp_path, zipped):
    path, marker = tmp_path / "file.pth", tmp_path / "marker"
    torch.save({"state_dict": weights, "args": Malicious(marker)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"file\.pth: contains the Python object \w+\.mkdir"):
        read_authors_file(path)
    assert not marker.exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_damaged_files_are_refused(weights, tmp_path, kept):
    path = save(tmp_path / "file.pth", weights)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"file\.pth: not a complete file"):
        read_authors_file(path)


@pytest.mark.parametrize("text", [b"hello", b"\x80\x04", b"<html>not found</html>", b"PK\x03\x04", b"version https://"])
def test_other_files_are_refused(tmp_path, text):
    for name in ("file.pth", "file.safetensors"):
        (tmp_path / name).write_bytes(text)
        with pytest.raises(InputError, match="not a complete"):
            read_authors_file(tmp_path / name)


def test_plain_pickle_is_refused_unread(tmp_path):
    marker = tmp_path / "marker"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "file.pth").write_bytes(pickle.dumps({"state_dict": Malicious(marker)}, protocol=protocol))
        with pytest.raises(InputError, match=r"file\.pth"):
            read_authors_file(tmp_path / "file.pth")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1, 2], "holds a list"),
        (torch.zeros(2), "holds a Tensor"),
        ({}, "instead of tensors by name"),
        ({"state_dict": 3}, "holds a int"),
        ({"epoch": 3, "a": torch.zeros(1)}, "'epoch' is not a tensor"),
        ({3: torch.zeros(1)}, "3 is not a tensor"),
    ],
    ids=str,
)
def test_files_without_weights_are_refused(tmp_path, content, told):
    with pytest.raises(InputError, match=told):
        read_authors_file(save(tmp_path / "file.pth", content))


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.pth: no such file"):
        read_authors_file(tmp_path / "nowhere.pth")


def test_bank_rows_move_with_their_findings():
    bank = torch.arange(12.0).view(6, 2)
    moved = reorder_bank(bank, source=("a", "b", "c"), target=("c", "a", "b"))
    assert moved[:, 0].tolist() == [8, 10, 0, 2, 4, 6]
    assert reorder_bank(moved, source=("c", "a", "b"), target=("a", "b", "c")).equal(bank)


@pytest.mark.parametrize("dataset", ["iu-xray", "mimic-cxr"])
def test_import_and_export_give_the_same_tensors(weights, make_settings, tmp_path, dataset):
    corpus = PUBLISHED_CORPORA[dataset]
    settings = make_settings(**SMALL)
    checkpoint = import_published(
        weights, vocabulary(dataset), corpus, where="a file", settings=settings, backbone=BACKBONE
    )
    checkpoint.save(tmp_path / "checkpoint")
    back = load_checkpoint(tmp_path / "checkpoint")
    again = export_published(back, corpus)
    assert set(again) == set(weights)
    assert all(again[name].equal(tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(("dataset", "place"), [("iu-xray", 8), ("mimic-cxr", 11)])
def test_each_findings_prototypes_are_where_its_name_is(weights, make_settings, dataset, place):
    """Pneumothorax is the 9th finding of the one label table and the 12th of the other."""
    checkpoint = import_published(
        weights,
        vocabulary(dataset),
        PUBLISHED_CORPORA[dataset],
        where="a file",
        settings=make_settings(**SMALL),
        backbone=BACKBONE,
    )
    assert checkpoint.findings == FINDINGS
    theirs = weights["encoder_decoder.protypes"].unflatten(0, (14, 3))
    ours = checkpoint.network.matching.bank.unflatten(0, (14, 3))
    assert ours[FINDINGS.index("Pneumothorax")].equal(theirs[place])
    assert ours[FINDINGS.index("No Finding")].equal(theirs[13])


def test_published_corpora_are_set_up_as_published():
    iu, mimic = PUBLISHED_CORPORA["iu-xray"], PUBLISHED_CORPORA["mimic-cxr"]
    assert (iu.vocabulary.min_count, iu.vocabulary.max_words, iu.max_views) == (3, 60, 2)
    assert (mimic.vocabulary.min_count, mimic.vocabulary.max_words, mimic.max_views) == (10, 100, 1)
    assert iu.vocabulary.ids == mimic.vocabulary.ids == "published"


def test_another_vocabulary_is_refused(weights, make_settings):
    other = build_vocabulary([*REPORTS, *["More words."] * 10], PUBLISHED_CORPORA["iu-xray"].vocabulary)
    with pytest.raises(InputError, match="a file: has 10 words, but the train reports have 12; give the annotation"):
        import_published(
            weights,
            other,
            PUBLISHED_CORPORA["iu-xray"],
            where="a file",
            settings=make_settings(**SMALL),
            backbone=BACKBONE,
        )
