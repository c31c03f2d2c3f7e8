import dataclasses
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.dataset import BatchSettings, StudyDataset
from xpronet.data.feature_cache import FeatureCache, open_feature_cache
from xpronet.data.loader import load_batches
from xpronet.encoders.extract import CacheSettings, write_feature_cache
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.images.transforms import ImageSettings
from xpronet.text.vocabulary import VocabularySettings, build_vocabulary

IMAGES = ImageSettings(size=64, short_side=72)


@pytest.fixture(scope="module")
def cache(phantom: Corpus, tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return write_feature_cache(
        phantom,
        phantom.studies,
        ResNet(ImageEncoderSettings(depth=18, width=8)),
        tmp_path_factory.mktemp("cache") / "features",
        name="tiny",
        images=IMAGES,
        settings=CacheSettings(crops=2, precision="fp32"),
        device=torch.device("cpu"),
    )


def dataset(corpus: Corpus, cache: FeatureCache, *, augment: bool, images: ImageSettings = IMAGES) -> StudyDataset:
    train = corpus.split("train")
    return StudyDataset(
        corpus,
        train,
        vocabulary=build_vocabulary((study.report for study in train), VocabularySettings(min_count=1)),
        findings=np.zeros((len(train), 14), np.float32),
        images=images,
        max_views=2,
        augment=augment,
        features=cache,
    )


def test_batches_hold_features_in_place_of_images(phantom: Corpus, cache: FeatureCache) -> None:
    batch = next(iter(load_batches(dataset(phantom, cache, augment=False), BatchSettings(size=12), padding=0)))
    assert batch.images.shape == (12, 2, cache.regions, cache.channels)
    assert batch.images.dtype == torch.float16
    for row, study in enumerate(phantom.split("train")[:12]):
        for place, view in enumerate(study.views):
            np.testing.assert_array_equal(batch.images[row, place].numpy(), cache.view(view))
        assert not batch.images[row, len(study.views) :].any()


def test_training_draws_crops_and_epochs_differ(phantom: Corpus, cache: FeatureCache) -> None:
    data = dataset(phantom, cache, augment=True)
    first, again, later = (
        next(iter(load_batches(data, BatchSettings(size=12), padding=0, epoch=epoch))) for epoch in (0, 0, 1)
    )
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, later.images)
    view = phantom.split("train")[0].views[0]
    assert any(np.array_equal(first.images[0, 0].numpy(), cache.view(view, crop)) for crop in (1, 2))


def test_workers_map_the_files_themselves(cache: FeatureCache) -> None:
    pickled = pickle.dumps(cache)
    assert len(pickled) < 1000
    copied = pickle.loads(pickled)
    np.testing.assert_array_equal(copied.features, cache.features)


def test_other_settings_encoders_and_images_are_refused(phantom: Corpus, cache: FeatureCache, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"made with images\.short_side = 72, not 80; make it again"):
        dataset(phantom, cache, augment=True, images=ImageSettings(size=64, short_side=80))
    with pytest.raises(InputError, match="features of another image encoder, tiny; the recipe or checkpoint has mine"):
        cache.check_encoder(name="mine", weights="0123")
    shutil.copytree(phantom.folder, tmp_path / "corpus")
    other = open_corpus(tmp_path / "corpus")
    path = other.view_path(other.studies[0].views[0])
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match=f"made from another {other.studies[0].views[0].path} than that of"):
        dataset(other, cache, augment=False)
    stranger = dataclasses.replace(
        phantom.studies[0], views=(dataclasses.replace(phantom.studies[0].views[0], path="images/new.png"),)
    )
    with pytest.raises(InputError, match=r"lacks 1 of 1 images of .* \(first images/new\.png\)"):
        cache.check_studies(phantom, [stranger], max_views=2)


def test_an_unfinished_or_damaged_cache_is_refused(cache: FeatureCache, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished feature cache here"):
        open_feature_cache(tmp_path)
    shutil.copytree(cache.folder, tmp_path / "copy")
    whole = (tmp_path / "copy" / "features.npy").read_bytes()
    (tmp_path / "copy" / "features.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"features\.npy: not the features that features\.json tells of"):
        open_feature_cache(tmp_path / "copy")
    (tmp_path / "copy" / "features.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match="not a feature cache of format 1"):
        open_feature_cache(tmp_path / "copy")
