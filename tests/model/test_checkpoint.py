import dataclasses
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from xpronet.errors import InputError
from xpronet.files import point
from xpronet.images.transforms import ImageSettings
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.checkpoint_files import find_checkpoint, fingerprint, load_tensors, write_manifest
from xpronet.model.search_settings import BeamSettings
from xpronet.text.vocabulary import Vocabulary, VocabularySettings

NAMES = ("Edema", "Fracture", "Pneumonia", "No Finding")


@pytest.fixture
def checkpoint(make_network) -> Checkpoint:
    return Checkpoint(
        network=make_network(norm="published", gamma=3),
        vocabulary=Vocabulary([".", "clear", "heart", "lungs", "normal", "the", "ü"], VocabularySettings(min_count=2)),
        images=ImageSettings(size=64, short_side=70, test="pad"),
        max_views=3,
        search=BeamSettings(beams=5, max_words=40, choose="agreeing"),
        findings=NAMES,
        thresholds={"Edema": 0.25, "Fracture": 0.5, "Pneumonia": 0.75, "No Finding": 0.5},
        training={"epoch": 3, "score": 0.5},
    )


@pytest.fixture
def folder(checkpoint, tmp_path):
    checkpoint.save(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def change(path, edit) -> None:
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))
    write_manifest(path.parent)


def test_there_and_back(checkpoint, folder):
    back = load_checkpoint(folder)
    state = checkpoint.network.state_dict()
    assert set(back.network.state_dict()) == set(state)
    assert all(tensor.equal(state[name]) for name, tensor in back.network.state_dict().items())
    assert back.network.settings == checkpoint.network.settings
    assert back.network.backbone.settings == checkpoint.network.backbone.settings
    assert back.vocabulary.words == checkpoint.vocabulary.words
    assert back.vocabulary.settings == checkpoint.vocabulary.settings
    for field in dataclasses.fields(Checkpoint):
        if field.name not in ("network", "vocabulary"):
            assert getattr(back, field.name) == getattr(checkpoint, field.name)
    assert not back.network.training


def test_same_weights_same_bytes_same_fingerprint(checkpoint, folder, tmp_path):
    checkpoint.save(tmp_path / "again")
    assert fingerprint(tmp_path / "again") == fingerprint(folder)
    with torch.no_grad():
        checkpoint.network.word_output.bias[0] += 1
    checkpoint.save(tmp_path / "again")
    assert fingerprint(tmp_path / "again") != fingerprint(folder)


def test_saving_again_leaves_no_trace_of_the_old(checkpoint, folder):
    (folder / "leftover").write_text("old")
    checkpoint.save(folder, extra_tensors={"optimiser.safetensors": {"moments": torch.arange(3.0)}})
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "findings.json",
        "manifest.json",
        "model.safetensors",
        "optimiser.safetensors",
        "training.json",
        "vocabulary.json",
    ]
    assert load_tensors(folder / "optimiser.safetensors")["moments"].tolist() == [0, 1, 2]


def test_a_failed_save_leaves_the_old_whole(checkpoint, folder):
    before = fingerprint(folder)
    checkpoint.training = {"not JSON": object()}
    with pytest.raises(TypeError):
        checkpoint.save(folder)
    assert fingerprint(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_run_means_its_best_else_its_last(checkpoint, tmp_path):
    checkpoint.save(tmp_path / "checkpoints" / "last")
    assert find_checkpoint(tmp_path).name == "last"
    checkpoint.save(tmp_path / "checkpoints" / "best")
    assert find_checkpoint(tmp_path).name == "best"
    assert load_checkpoint(tmp_path).findings == NAMES


def test_no_checkpoint_there(tmp_path):
    with pytest.raises(InputError, match="neither a checkpoint nor a run with one"):
        load_checkpoint(tmp_path)


def refuse(folder, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_weights_are_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refuse(folder, r"model.safetensors: damaged \(\d+ bytes instead of \d+\); use another checkpoint")
    write_manifest(folder)
    refuse(folder, "not a complete safetensors file")


def test_pickle_bytes_are_refused_unread(folder):
    class ConstantBaseline:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was run",))

    (folder / "model.safetensors").write_bytes(pickle.dumps(ConstantBaseline()))
    refuse(folder, "model.safetensors: damaged")
    write_manifest(folder)
    refuse(folder, "not a complete safetensors file")
    torch.save({"word_output.bias": ConstantBaseline()}, folder / "model.safetensors")
    refuse(folder, "model.safetensors: damaged")
    write_manifest(folder)
    refuse(folder, "not a complete safetensors file")


@pytest.mark.parametrize("file", ["model.safetensors", "vocabulary.json", "findings.json", "training.json"])
def test_missing_files_are_refused_by_name(folder, file):
    (folder / file).unlink()
    refuse(folder, f"{file}: no such file")


def drop(state):
    del state["word_output.bias"]


def rename(state):
    state["word_output.offset"] = state.pop("word_output.bias")


def reshape(state):
    state["word_output.bias"] = torch.zeros(3)


def add(state):
    state["word_output.extra"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (drop, "1 tensors do not fit .* word_output.bias"),
        (rename, "2 tensors do not fit .* word_output.bias, word_output.offset"),
        (reshape, "1 tensors do not fit .* word_output.bias"),
        (add, "1 tensors do not fit .* word_output.extra"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(folder, edit, told):
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors")
    refuse(folder, r"model.safetensors: damaged \(")
    write_manifest(folder)
    refuse(folder, told)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "config.json", "vocabulary.json", "findings.json", "training.json"]
)
def test_one_flipped_bit_is_refused_by_name(folder, file):
    path = folder / file
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    refuse(folder, f"{file}: damaged \\(its hash has changed\\)")


def test_a_damaged_or_missing_manifest_is_refused(folder):
    manifest = folder / "manifest.json"
    whole = manifest.read_text()
    for text, told in [
        ("{", "manifest.json: not JSON"),
        ("[]", "not a manifest"),
        ('{"files": {}}', "does not list config.json"),
        (whole.replace("model.safetensors", "model.safetensor"), "does not list model.safetensors"),
    ]:
        manifest.write_text(text)
        refuse(folder, told)
    manifest.unlink()
    refuse(folder, "manifest.json: no such file")


def test_a_run_that_goes_on_does_not_mix_two_checkpoints(checkpoint, tmp_path):
    checkpoint.save(tmp_path / "checkpoints" / "best-1")
    point(tmp_path / "checkpoints" / "best", "best-1")
    assert find_checkpoint(tmp_path) == (tmp_path / "checkpoints" / "best-1").resolve()


@pytest.mark.parametrize(
    ("file", "edit", "told"),
    [
        ("config.json", lambda record: record.update(format=2), "not a checkpoint of format 3"),
        ("config.json", lambda record: record.pop("model"), "damaged checkpoint"),
        ("config.json", lambda record: record["model"].update(wings=2), "wings"),
        ("config.json", lambda record: record["model"].update(heads=3), r"model\.heads = 3"),
        ("config.json", lambda record: record["model"].update(width=32), "tensors do not fit"),
        ("config.json", lambda record: record["images"].update(size=8), r"images\.size = 8"),
        ("config.json", lambda record: record.update(max_views="many"), "damaged checkpoint"),
        ("findings.json", lambda record: record["names"].append("Gout"), "5 findings x 3 prototypes"),
        ("findings.json", lambda record: record["thresholds"].pop("Edema"), "Edema"),
        ("findings.json", lambda record: record["thresholds"].update(Edema="high"), "damaged checkpoint"),
        ("vocabulary.json", lambda record: record["words"].append("clear"), "not a vocabulary"),
        ("vocabulary.json", lambda record: record["words"].append("new"), "tensors do not fit"),
        ("vocabulary.json", lambda record: record.pop("words"), "not a vocabulary"),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, file, edit, told):
    change(folder / file, edit)
    refuse(folder, told)


@pytest.mark.parametrize("file", ["config.json", "vocabulary.json", "findings.json", "training.json"])
@pytest.mark.parametrize("text", ["", "{", "\x80\x04"])
def test_files_that_are_no_json_are_refused_by_name(folder, file, text):
    (folder / file).write_text(text)
    write_manifest(folder)
    refuse(folder, f"{file}: not JSON")


@pytest.mark.parametrize("file", ["config.json", "vocabulary.json", "findings.json"])
@pytest.mark.parametrize("value", ["[]", "null", "3", '"text"'])
def test_json_of_another_kind_is_refused(folder, file, value):
    (folder / file).write_text(value)
    write_manifest(folder)
    with pytest.raises(InputError):
        load_checkpoint(folder)


def test_calibration_is_kept_and_changes_probabilities(checkpoint, folder):
    patches = checkpoint.network.encode_images(
        torch.zeros(1, 1, 64, 64, dtype=torch.uint8), torch.ones(1, 1, dtype=torch.bool)
    )
    raw = checkpoint.network.predict_findings(patches)
    checkpoint.network.calibrate(torch.tensor([[2.0, 1.0, 1.0, 0.5], [0.0, 0.0, -1.0, 0.25]]))
    checkpoint.save(folder)
    back = load_checkpoint(folder).network
    assert back.calibration.tolist() == [[2.0, 1.0, 1.0, 0.5], [0.0, 0.0, -1.0, 0.25]]
    logits = raw.logit()[0]
    expected = torch.stack([2 * logits[0], logits[1], logits[2] - 1, logits[3] / 2 + 0.25]).sigmoid()
    assert back.predict_findings(patches)[0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_checkpoint_without_calibration_is_used_as_it_was(folder):
    change(folder / "findings.json", lambda record: record.pop("calibration"))
    assert load_checkpoint(folder).network.calibration.tolist() == [[1.0] * 4, [0.0] * 4]


@pytest.mark.parametrize("pair", [[0.0, 0.0], [-1.0, 0.0], [1.0], "1", [1.0, None], [float("nan"), 0.0]])
def test_a_calibration_that_is_none_is_refused(folder, pair):
    change(folder / "findings.json", lambda record: record["calibration"].update(Edema=pair))
    refuse(folder, "damaged")
