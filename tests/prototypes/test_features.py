import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import FeatureCache
from xpronet.encoders.extract import CacheSettings, write_feature_cache
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.encoders.text_encoders import TfidfEncoder
from xpronet.errors import InputError
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, test_view
from xpronet.prototypes.features import StudyFeatures, extract_features

test_view.__test__ = False  # the name of a function, not of a test
IMAGES = ImageSettings(size=64, short_side=64)


def extract(corpus: Corpus, *, backbone: ResNet | None = None, cache: FeatureCache | None = None) -> StudyFeatures:
    train = corpus.split("train")
    return extract_features(
        corpus,
        train,
        backbone=backbone if backbone is not None else ResNet(ImageEncoderSettings(depth=18, width=8)),
        image_encoder="tiny",
        images=IMAGES,
        text=TfidfEncoder.fit([study.report for study in train], width=3),
        text_encoder="tfidf-3",
        features=cache,
    )


def test_features_are_the_mean_of_views_and_regions(hearts: Corpus):
    backbone = ResNet(ImageEncoderSettings(depth=18, width=8)).eval()
    features = extract(hearts, backbone=backbone)
    assert features.ids == tuple(f"s{number}" for number in range(12))
    assert (features.image_encoder, features.text_encoder) == ("tiny", "tfidf-3")
    assert features.text.shape == (12, 3)
    for row, study in enumerate(hearts.split("train")):
        squares = [test_view(read_grey(hearts.view_path(view)), IMAGES) for view in study.views]
        for got, turned in ((features.original, squares), (features.mirrored, [each[:, ::-1] for each in squares])):
            with torch.inference_mode():
                maps = backbone(torch.from_numpy(np.stack(turned)))
            np.testing.assert_allclose(got[row], maps.mean((0, 2, 3)).numpy(), rtol=1e-4, atol=1e-5)
    assert max(len(study.views) for study in hearts.split("train")) == 2


def test_batches_make_no_difference(hearts: Corpus, monkeypatch: pytest.MonkeyPatch):
    whole = extract(hearts)
    monkeypatch.setattr("xpronet.prototypes.features.BATCH", 2)
    np.testing.assert_allclose(whole.original, extract(hearts).original, atol=1e-5)


def test_a_feature_cache_stands_for_the_images(hearts: Corpus, tmp_path: Path):
    backbone = ResNet(ImageEncoderSettings(depth=18, width=8))
    cache = write_feature_cache(
        hearts,
        hearts.studies,
        backbone,
        tmp_path / "features",
        name="tiny",
        images=IMAGES,
        settings=CacheSettings(precision="fp32", storage="fp32"),
        device=torch.device("cpu"),
    )
    computed, cached = extract(hearts, backbone=backbone), extract(hearts, backbone=backbone, cache=cache)
    np.testing.assert_allclose(cached.original, computed.original, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(cached.mirrored, computed.mirrored, rtol=1e-4, atol=1e-5)


def test_the_backbone_is_left_as_it_was(hearts: Corpus):
    backbone = ResNet(ImageEncoderSettings(depth=18, width=8)).train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    first, again = (extract(hearts, backbone=backbone) for _ in range(2))
    assert backbone.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    assert np.array_equal(first.original, again.original)


def test_a_study_without_pictures_is_refused(hearts: Corpus):
    bare = tuple(dataclasses.replace(study, views=()) for study in hearts.studies)
    with pytest.raises(InputError, match=r"12 of 12 studies have no image \(s0, s1, s2\)"):
        extract(dataclasses.replace(hearts, studies=bare))


def test_an_unreadable_picture_is_named(hearts: Corpus, tmp_path: Path):
    with pytest.raises(InputError, match=r"0-0\.png: no such file"):
        extract(dataclasses.replace(hearts, folder=tmp_path))
