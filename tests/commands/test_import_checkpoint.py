import argparse
import json

import pytest
import torch

from xpronet.commands.import_checkpoint import import_checkpoint
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.network import XProNet
from xpronet.model.published_checkpoint import PUBLISHED_CORPORA, PUBLISHED_MODEL, export_published, to_published

REPORT = "The heart is 3.7 cm. The lungs are clear."


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A published network of full size, with the few words of the annotation below."""
    torch.manual_seed(0)
    network = XProNet(
        backbone=ResNet(ImageEncoderSettings(depth=101)),
        settings=PUBLISHED_MODEL,
        num_words=11,
        padding=0,
        num_findings=14,
    )
    return to_published(network.state_dict())


@pytest.fixture(scope="module")
def annotation(tmp_path_factory):
    path = tmp_path_factory.mktemp("annotation") / "annotation.json"
    study = {"id": "a", "report": REPORT, "image_path": ["a.png"], "split": "train"}
    rare = {**study, "report": "Rare."}
    path.write_text(json.dumps({"train": [study] * 3 + [rare], "val": [rare] * 9, "test": []}))
    return path


def test_an_authors_file_becomes_a_checkpoint_and_goes_back(weights, annotation, tmp_path, capsys):
    file = tmp_path / "model_best.pth"
    torch.save({"epoch": 3, "state_dict": weights, "args": argparse.Namespace(topk=15)}, file)
    import_checkpoint(file, annotation=annotation, out=tmp_path / "checkpoint")
    assert "11 words" in capsys.readouterr().out

    checkpoint = load_checkpoint(tmp_path / "checkpoint")
    assert checkpoint.vocabulary.words == (".", "37", "<unk>", "are", "clear", "cm", "heart", "is", "lungs", "the")
    assert (checkpoint.max_views, checkpoint.search.max_words, checkpoint.images.test) == (2, 60, "squash")
    assert checkpoint.training == {"imported": "model_best.pth", "dataset": "iu-xray"}
    exported = export_published(checkpoint, PUBLISHED_CORPORA["iu-xray"])
    assert set(exported) == set(weights)
    assert all(exported[name].equal(tensor) for name, tensor in weights.items())

    with pytest.raises(InputError, match=r"checkpoint: already exists.*--overwrite"):
        import_checkpoint(file, annotation=annotation, out=tmp_path / "checkpoint")


def test_an_existing_folder_is_refused_before_the_work(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "mine").write_text("keep")
    with pytest.raises(InputError, match="already exists"):
        import_checkpoint(tmp_path / "no.pth", annotation=tmp_path / "no.json", out=tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint" / "mine").read_text() == "keep"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "no list of studies under train"),
        ('{"train": []}', "no list of studies under train"),
        ('{"train": [{"report": "a"}, {"id": "b"}]}', "train entry 2 has no report"),
        ('{"train": ["a"]}', "train entry 1 has no report"),
    ],
)
def test_other_annotations_are_refused_and_nothing_is_left(tmp_path, text, told):
    (tmp_path / "annotation.json").write_text(text)
    with pytest.raises(InputError, match=rf"annotation\.json: {told}"):
        import_checkpoint(tmp_path / "no.pth", annotation=tmp_path / "annotation.json", out=tmp_path / "checkpoint")
    assert [path.name for path in tmp_path.iterdir()] == ["annotation.json"]
