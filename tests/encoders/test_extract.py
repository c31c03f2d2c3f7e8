import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.feature_cache import FeatureCache, Storage
from xpronet.encoders import extract
from xpronet.encoders.build import encoder_fingerprint
from xpronet.encoders.extract import CacheSettings, FastEncoder, read_ahead, write_feature_cache
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, test_view

test_view.__test__ = False  # the name of a function, not of a test
IMAGES = ImageSettings(size=64, short_side=72)
CPU = torch.device("cpu")


def encoder(seed: int = 0) -> ResNet:
    return ResNet(ImageEncoderSettings(depth=18, width=8), seed=seed)


def write(corpus: Corpus, folder: Path, *, crops: int = 0, storage: Storage = "fp32", seed: int = 0) -> FeatureCache:
    return write_feature_cache(
        corpus,
        corpus.studies,
        encoder(seed),
        folder,
        name="tiny",
        images=IMAGES,
        settings=CacheSettings(crops=crops, precision="fp32", storage=storage),
        device=CPU,
    )


def test_the_cache_holds_what_the_encoder_sees(phantom: Corpus, tmp_path: Path) -> None:
    cache = write(phantom, tmp_path / "features")
    backbone = encoder().eval()
    for study in phantom.studies[:4]:
        for view in study.views:
            square = test_view(read_grey(phantom.view_path(view)), IMAGES)
            with torch.inference_mode():
                seen, flipped = backbone(torch.from_numpy(np.stack([square, square[:, ::-1]]))).flatten(2)
            np.testing.assert_allclose(cache.view(view), seen.T.numpy(), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(cache.mirrored[cache.rows[view.path]], flipped.mean(1), rtol=1e-4, atol=1e-5)
    assert len(cache.files) == sum(len(study.views) for study in phantom.studies)


def test_half_precision_halves_the_file_and_keeps_three_digits(phantom: Corpus, tmp_path: Path) -> None:
    whole, half = write(phantom, tmp_path / "whole"), write(phantom, tmp_path / "half", storage="fp16")
    assert half.features.nbytes * 2 == whole.features.nbytes
    np.testing.assert_allclose(half.features, whole.features, rtol=1e-3, atol=1e-6)


def test_crops_differ_and_are_drawn_by_the_seed(phantom: Corpus, tmp_path: Path) -> None:
    cache, again = (write(phantom, tmp_path / name, crops=3) for name in ("one", "two"))
    assert cache.features.shape[1] == 4
    np.testing.assert_array_equal(cache.features, again.features)
    assert len(np.unique(cache.features[:, 1:, 0, 0].round(6), axis=None)) > cache.features.shape[0]


def test_the_work_goes_on_where_it_was_interrupted(
    phantom: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "features"
    monkeypatch.setattr(extract, "BATCH", 1)  # progress is saved after eight images
    computed = extract._computed

    def broken(*given: object) -> Iterator[object]:
        for number, each in enumerate(computed(*given)):  # type: ignore[arg-type]
            if number == 11:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(extract, "_computed", broken)
    with pytest.raises(KeyboardInterrupt):
        write(phantom, folder)
    assert json.loads((folder / "progress.json").read_text())["done"] == 8
    with pytest.raises(InputError, match="was begun with other weights"):
        write(phantom, folder, seed=1)
    monkeypatch.setattr(extract, "_computed", computed)
    resumed, whole = write(phantom, folder), write(phantom, tmp_path / "whole")
    np.testing.assert_array_equal(resumed.features, whole.features)
    np.testing.assert_array_equal(resumed.mirrored, whole.mirrored)
    assert write(phantom, folder).files == whole.files


def test_other_features_are_refused(phantom: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    write(phantom, folder)
    with pytest.raises(InputError, match="holds other features, finished before; choose another folder"):
        write(phantom, folder, seed=1)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and no begun feature cache"):
        write(phantom, taken)


def test_a_full_disk_is_told_before_the_work(phantom: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = extract.os.statvfs(tmp_path)
    full = type("Full", (), {"f_bavail": 0, "f_frsize": status.f_frsize})
    monkeypatch.setattr(extract.os, "statvfs", lambda _: full)
    with pytest.raises(InputError, match=r"MiB are needed and 0 MiB are free"):
        write(phantom, tmp_path / "features")
    assert not (tmp_path / "features").exists()


def test_a_missing_image_is_named(phantom: Corpus, tmp_path: Path) -> None:
    shutil.copytree(phantom.folder, tmp_path / "corpus")
    corpus = open_corpus(tmp_path / "corpus")
    corpus.view_path(corpus.studies[3].views[0]).unlink()
    with pytest.raises(InputError, match=f"{corpus.studies[3].views[0].path}: no such image"):
        write(corpus, tmp_path / "features")


def test_the_fast_encoder_leaves_the_given_one_alone(phantom: Corpus) -> None:
    given = encoder().train()
    before = encoder_fingerprint(given)
    FastEncoder(given, device=CPU)(np.zeros((1, 64, 64), np.uint8))
    assert given.training
    assert encoder_fingerprint(given) == before


def test_the_fingerprint_is_of_settings_and_weights() -> None:
    one = encoder()
    assert encoder_fingerprint(one) == encoder_fingerprint(encoder())
    assert encoder_fingerprint(one) != encoder_fingerprint(encoder(1))
    other = encoder()
    other.settings = dataclasses.replace(other.settings, normalisation="torchxrayvision")
    assert encoder_fingerprint(one) != encoder_fingerprint(other)
    with torch.no_grad():
        one.bn1.running_mean[0] += 1
    assert encoder_fingerprint(one) != encoder_fingerprint(encoder())


def test_reading_ahead_keeps_the_order_and_passes_errors_on() -> None:
    assert list(read_ahead(range(20), lambda number: number * 2, ahead=5)) == list(range(0, 40, 2))

    def fails(number: int) -> int:
        if number == 3:
            raise InputError("image 3 is damaged")
        return number

    with pytest.raises(InputError, match="image 3 is damaged"):
        list(read_ahead(range(20), fails, ahead=5))
