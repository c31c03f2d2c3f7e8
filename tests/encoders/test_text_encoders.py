import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from xpronet.encoders.text_encoders import (
    BertEncoder,
    TextSettings,
    TfidfEncoder,
    build_text_encoder,
    text_encoder_name,
)
from xpronet.errors import InputError

REPORTS = [
    "The heart is enlarged. No pneumothorax.",
    "Large heart. There is no pleural effusion.",
    "Left pleural effusion. The heart is normal.",
    "The lungs are clear. No pleural effusion or pneumothorax.",
    "Right pneumothorax is seen. Normal heart.",
    "Degenerative changes at T12. The lungs are clear.",
]


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_tfidf_puts_like_reports_together():
    encoder = TfidfEncoder.fit(REPORTS, width=4)
    assert encoder.width == 4
    heart, same, other = encoder.encode(["The heart is enlarged", "Heart enlarged. No pneumothorax", "Lungs are clear"])
    assert cosine(heart, same) > 0.8 > cosine(heart, other)


def test_tfidf_tells_presence_from_absence():
    encoder = TfidfEncoder.fit(["pleural effusion . heart normal", "no pleural effusion . heart normal"] * 3)
    present, absent = encoder.encode(["pleural effusion", "no pleural effusion"])
    assert not np.allclose(present, absent, atol=0.05)


def test_tfidf_is_deterministic():
    assert np.array_equal(*(TfidfEncoder.fit(REPORTS, width=4, seed=1).encode(REPORTS) for _ in range(2)))


def test_tfidf_is_no_wider_than_its_reports_are_many():
    encoder = TfidfEncoder.fit(REPORTS)
    assert encoder.encode(REPORTS).shape == (len(REPORTS), encoder.width) == (6, 6)
    assert TfidfEncoder.fit(["pleural effusion"] * 9).width == 3


def test_tfidf_of_unknown_words_is_zero():
    encoder = TfidfEncoder.fit(REPORTS, width=4)
    assert not encoder.encode(["xyzzy", ""]).any()
    assert encoder.encode([]).shape == (0, 4)


@pytest.mark.parametrize("reports", [[], ["", " . "], ["effusion", "effusion"]])
def test_tfidf_needs_words(reports: list[str]):
    with pytest.raises(InputError, match="fewer than two words"):
        TfidfEncoder.fit(reports)


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer in the library's own layout, with random weights."""
    transformers = pytest.importorskip("transformers")
    import torch

    folder = tmp_path_factory.mktemp("bert") / "tiny"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heart", "lungs", "clear", "enlarged", "the", "."]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
        )
        transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_bert_features_do_not_depend_on_company(tiny_bert: Path, pooling: str):
    texts = ["the heart", "the lungs clear . the heart enlarged .", "", "clear"]
    encoder = BertEncoder(str(tiny_bert), pooling=pooling, batch=3)
    together = encoder.encode(texts)
    assert (encoder.width, together.shape) == (16, (4, 16))
    assert text_encoder_name(TextSettings(encoder=str(tiny_bert), pooling=pooling)) == f"tiny-{pooling}"
    for text, feature in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], feature, atol=1e-5)
    assert encoder.encode([]).shape == (0, 16)


def test_bert_is_what_the_library_computes(tiny_bert: Path):
    import torch
    from transformers import AutoTokenizer, BertModel

    inputs = AutoTokenizer.from_pretrained(tiny_bert)("the heart enlarged", return_tensors="pt")
    with torch.inference_mode():
        states = BertModel.from_pretrained(tiny_bert, add_pooling_layer=False).eval()(**inputs).last_hidden_state[0]
    cls, mean = (BertEncoder(str(tiny_bert), pooling=p).encode(["the heart enlarged"])[0] for p in ("cls", "mean"))
    np.testing.assert_allclose(cls, states[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(mean, states.mean(0).numpy(), atol=1e-5)


def test_bert_cuts_long_texts(tiny_bert: Path):
    long = BertEncoder(str(tiny_bert)).encode(["heart " * 510, "heart " * 2000])
    np.testing.assert_allclose(long[0], long[1], atol=1e-5)


def test_bert_loads_in_silence(tiny_bert: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        BertEncoder(str(tiny_bert)).encode(["heart " * 2000])
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])


def drop_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.0.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def drop_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()


def damage_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    "damage", [damage_weights, drop_a_weight, drop_weights, drop_configuration, damage_configuration]
)
def test_damaged_models_are_refused_in_one_line(tiny_bert: Path, tmp_path: Path, damage):
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_bert, folder)
    damage(folder)
    with pytest.raises(InputError, match="damaged: ") as raised:
        BertEncoder(str(folder))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_real_sentence_model_knows_synonyms(shared: Path):
    folder = shared / "weights" / "minilm_l6_v2"
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} beside the checkout")
    encoder = BertEncoder(str(folder), pooling="mean")
    assert encoder.width == 384
    enlarged, cardiomegaly, lungs = encoder.encode(["The heart is enlarged.", "Cardiomegaly.", "The lungs are clear."])
    assert cosine(enlarged, cardiomegaly) > 0.5 > cosine(cardiomegaly, lungs)


OUTSIDE_TEXTS = """
import numpy as np


class Lengths:
    width = 2

    def __init__(self, train_reports, settings):
        self.longest = max(len(report) for report in train_reports)
        self.scale = settings.width

    def encode(self, texts, *, track=None):
        return np.array([[len(text) / self.longest, self.scale] for text in texts], np.float32).reshape(-1, 2)


def nothing(train_reports, settings):
    return 3
"""


@pytest.fixture
def outside_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "outside_texts.py").write_text(OUTSIDE_TEXTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("outside_texts", None)


@pytest.mark.usefixtures("outside_texts")
def test_an_outside_encoder_is_given_train_reports_and_settings():
    settings = TextSettings(encoder="python:outside_texts:Lengths", width=7)
    encoder = build_text_encoder(settings, ["four", "eight..."], allow_code=True)
    assert encoder.encode(["two words"[:4], ""]).tolist() == [[0.5, 7.0], [0.0, 7.0]]
    assert text_encoder_name(settings) == "python:outside_texts:Lengths, width 7"
    with pytest.raises(InputError, match=r"^text encoder python:outside_texts:Lengths: runs code .*--allow-code"):
        build_text_encoder(settings, REPORTS)
    with pytest.raises(InputError, match=r"python:outside_texts:nothing: its int lacks width, encode of TextEncoder"):
        build_text_encoder(TextSettings(encoder="python:outside_texts:nothing"), REPORTS, allow_code=True)


def test_settings_choose_the_encoder(tiny_bert: Path):
    learned = build_text_encoder(TextSettings(width=4), REPORTS, seed=1)
    assert np.array_equal(learned.encode(REPORTS), TfidfEncoder.fit(REPORTS, width=4, seed=1).encode(REPORTS))
    bert = build_text_encoder(TextSettings(encoder=str(tiny_bert), pooling="mean"), REPORTS)
    assert np.array_equal(bert.encode(REPORTS), BertEncoder(str(tiny_bert), pooling="mean").encode(REPORTS))


def test_names_say_what_was_asked_for():
    assert text_encoder_name(TextSettings(width=64)) == "tfidf-64"
    assert text_encoder_name(TextSettings(encoder="hub:owner/name", pooling="mean")) == "owner/name-mean"
    assert text_encoder_name(TextSettings(encoder="/secret/chexbert")) == "chexbert-cls"
