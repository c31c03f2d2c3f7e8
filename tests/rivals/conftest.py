"""A small model of each rival on drawn reports, and regions of two studies with one view and two with two."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from rival_options import HIERARCHICAL, OPTIONS

from xpronet.data.corpus import Corpus
from xpronet.encoders.build import build_image_encoder
from xpronet.encoders.image_encoder import ImageEncoder, ImageEncoderSettings
from xpronet.labels.findings import FINDINGS
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.build import BUILT_IN, build_report_model, derive_data
from xpronet.model.report_model import DerivedData, Patches, ReportModel, TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.rivals.sentences import MOST_SENTENCES
from xpronet.text.vocabulary import VocabularySettings, build_vocabulary

MODELS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in BUILT_IN} | {
    "st, maxout": ("st", {"maxout": True, "word_width": 12}),
    "adaatt, maxout": ("adaatt", {"maxout": True, "attention_width": 12}),
    "att2in, raw regions": ("att2in", {"raw_regions": True}),
    "topdown, narrow": ("topdown", {"word_width": 12, "attention_width": 10}),
}
"""Name and options of what keeps the contract."""

Rival = tuple[ReportModel, DerivedData | None]


@pytest.fixture(scope="session")
def studies(phantom: Corpus) -> TrainStudies:
    train = phantom.split("train")
    ids = [study.id for study in train]
    labels = label_matrix(read_labels(phantom.folder / "labels.csv", ids), ids)
    reports = tuple(study.report for study in train)
    return TrainStudies(
        reports=reports,
        findings=labels == 1,
        names=FINDINGS,
        vocabulary=build_vocabulary(reports, VocabularySettings(min_count=1, max_words=90)),
    )


@pytest.fixture(scope="session")
def backbone() -> ImageEncoder:
    torch.manual_seed(0)
    return build_image_encoder(ImageEncoderSettings(depth=18, width=8), "random")


@pytest.fixture(scope="session")
def make_rival(studies: TrainStudies, backbone: ImageEncoder) -> Callable[..., Rival]:
    def make(name: str, *, width: int = 16, **options: object) -> Rival:
        settings = ModelSettings(
            name=name,
            visible="none",
            width=width,
            heads=2,
            layers=2,
            feed_forward=24,
            options={**OPTIONS.get(name, {}), **options},
        )
        derived = derive_data(settings, studies)
        vocabulary = studies.vocabulary if derived is None else derived.vocabulary
        torch.manual_seed(1)
        model = build_report_model(
            settings,
            backbone=backbone,
            num_words=len(vocabulary),
            padding=vocabulary.padding,
            num_findings=len(FINDINGS),
            derived=None if derived is None else derived.record,
        )
        return model.eval(), derived

    return make


@pytest.fixture(params=MODELS)
def rival(request: pytest.FixtureRequest, make_rival: Callable[..., Rival]) -> Rival:
    name, options = MODELS[request.param]
    return make_rival(name, **options)


@pytest.fixture(params=HIERARCHICAL)
def hierarchical(request: pytest.FixtureRequest, make_rival: Callable[..., Rival]) -> Rival:
    return make_rival(request.param)


@pytest.fixture
def patches(backbone: ImageEncoder) -> Patches:
    features = torch.randn(4, 8, backbone.width_out, generator=torch.Generator().manual_seed(2))
    mask = torch.tensor([[True] * 8, [True] * 4 + [False] * 4] * 2)
    return Patches(features * mask.unsqueeze(-1), mask)


@pytest.fixture
def findings() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((4, len(FINDINGS))) < 0.3)


@pytest.fixture(scope="session")
def pad(studies: TrainStudies) -> Callable[..., torch.Tensor]:
    """Returns the first train reports as a rival learns them, padded to the longest."""

    def padded(rival: Rival, count: int = 4) -> torch.Tensor:
        _, derived = rival
        encode = studies.vocabulary.encode if derived is None else derived.encode
        # One that is as long as allowed must end there, whatever a model thinks of it.
        shorter = [report for report in studies.reports if report.count(".") < MOST_SENTENCES]
        ids = [torch.tensor(encode(report)) for report in shorter[:count]]
        return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=studies.vocabulary.padding)

    return padded


@pytest.fixture
def reports(rival: Rival, pad: Callable[..., torch.Tensor]) -> torch.Tensor:
    return pad(rival)
