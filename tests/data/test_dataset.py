import multiprocessing
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xpronet.data import dataset as dataset_module
from xpronet.data.corpus import Corpus
from xpronet.data.dataset import WHOLE, Batch, BatchSettings, Shard, StudyDataset, collate_studies
from xpronet.data.loader import EpochLoader, StudySampler, load_batches
from xpronet.data.study import Study, View
from xpronet.errors import InputError
from xpronet.images.read import write_grey
from xpronet.images.transforms import ImageSettings
from xpronet.text.vocabulary import VocabularySettings, build_vocabulary

NUM_VIEWS = [2, 1, 3, 1, 2]
REPORTS = ["Heart normal.", "Lungs clear. Heart large. No effusion.", "Clear.", "Heart clear.", "Large effusion."]
LABELS = np.eye(5, 4, dtype=np.float32)
IMAGES = ImageSettings(size=32, short_side=40)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    studies = []
    for number, (num_views, report) in enumerate(zip(NUM_VIEWS, REPORTS, strict=True)):
        views = []
        for position in range(num_views):
            path = f"images/{number}-{position}.png"
            (folder / "images").mkdir(exist_ok=True)
            write_grey(folder / path, rng.integers(0, 256, (44, 60), dtype=np.uint8))
            views.append(View(path=path, width=60, height=44))
        studies.append(Study(id=f"study-{number}", split="train", views=tuple(views), report=report))
    return Corpus(folder=folder, name="small", licence="none", studies=tuple(studies))


VOCABULARY = build_vocabulary(REPORTS, VocabularySettings(min_count=1))


def dataset(corpus: Corpus, **choices) -> StudyDataset:
    values = {"vocabulary": VOCABULARY, "findings": LABELS, "images": IMAGES, "max_views": 2, "augment": False}
    return StudyDataset(corpus, corpus.studies, **{**values, **choices})


def batches(corpus: Corpus, size: int = 2, *, seed=None, epoch=0, start=0, workers=0, **choices) -> list[Batch]:
    settings = BatchSettings(size=size, workers=workers)
    return list(load_batches(dataset(corpus, **choices), settings, padding=0, epoch=epoch, seed=seed, start=start))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 5), st.one_of(st.none(), st.integers(0, 5)))
def test_an_epoch_has_every_study_once(num_studies, size, epoch, seed):
    sampler = StudySampler(num_studies, batch_size=size, epoch=epoch, seed=seed)
    keys = [key for batch in sampler for key in batch]
    assert sorted(number for _, number in keys) == list(range(num_studies))
    assert {of_epoch for of_epoch, _ in keys} == {epoch}
    assert [len(batch) for batch in sampler][:-1] == [size] * (len(sampler) - 1)
    if seed is None:
        assert [number for _, number in keys] == list(range(num_studies))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 45))
def test_going_on_from_a_batch_gives_the_rest_of_the_epoch(num_studies, size, start):
    whole = list(StudySampler(num_studies, batch_size=size, epoch=3, seed=1))
    assert list(StudySampler(num_studies, batch_size=size, epoch=3, seed=1, start=start)) == whole[start:]


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed: int, epoch: int) -> list[int]:
        return [number for batch in StudySampler(30, batch_size=4, epoch=epoch, seed=seed) for _, number in batch]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_batches_are_padded_to_the_longest(corpus):
    first, second, third = batches(corpus)
    assert [batch.ids for batch in (first, second, third)] == [
        ("study-0", "study-1"),
        ("study-2", "study-3"),
        ("study-4",),
    ]
    assert first.images.shape == (2, 2, 32, 32)
    assert first.images.dtype == torch.uint8
    assert first.view_mask.tolist() == [[True, True], [True, False]]
    assert first.images[1, 1].eq(0).all()
    assert first.images[0].float().std() > 10
    # The third study has three views, of which two are asked for.
    assert second.view_mask.tolist() == [[True, True], [True, False]]
    for batch in (first, second, third):
        for row, name in enumerate(batch.ids):
            report = VOCABULARY.encode(REPORTS[int(name[-1])])
            assert batch.words[row].tolist() == report + [0] * (batch.words.shape[1] - len(report))
            assert batch.word_mask[row].sum() == len(report)
            assert batch.word_mask[row, : len(report)].all()
            assert batch.findings[row].tolist() == LABELS[int(name[-1])].astype(bool).tolist()
        assert batch.words.shape[1] == batch.word_mask.sum(1).max()


def test_one_view_a_study(corpus):
    assert [batch.images.shape[1] for batch in batches(corpus, max_views=1)] == [1, 1, 1]
    assert [batch.images.shape[1] for batch in batches(corpus, max_views=9)] == [2, 3, 2]


def test_crops_depend_on_seed_epoch_and_study_alone(corpus):
    def pictures(**choices) -> dict[str, torch.Tensor]:
        found = batches(corpus, augment=True, **choices)
        return {name: batch.images[row, 0] for batch in found for row, name in enumerate(batch.ids)}

    plain = pictures(seed=1)
    other_order = pictures(size=3, seed=2)
    assert all(other_order[name].equal(picture) for name, picture in plain.items())
    assert any(not picture.equal(plain[name]) for name, picture in pictures(seed=1, epoch=1).items())
    assert any(
        not batch.images.equal(other.images)
        for batch, other in zip(batches(corpus, augment=True), batches(corpus), strict=True)
    )


def test_views_of_a_study_are_cropped_apart(corpus):
    view = corpus.studies[0].views[0]
    twice = Study(id="twice", split="train", views=(view, view), report="Clear.")
    same = StudyDataset(
        corpus,
        [twice],
        vocabulary=VOCABULARY,
        findings=LABELS[:1],
        images=IMAGES,
        max_views=2,
        augment=True,
    )
    pairs = [same[epoch, 0].images for epoch in range(5)]
    assert any(not np.array_equal(*pair) for pair in pairs)


@pytest.mark.parametrize("augment", [True, False])
def test_kept_images_are_shown_as_if_they_were_read_again(corpus, augment, monkeypatch):
    read: list[str] = []
    original = dataset_module.read_grey
    monkeypatch.setattr(dataset_module, "read_grey", lambda path: read.append(path.name) or original(path))
    plain, kept, little = (dataset(corpus, augment=augment, seed=3, keep_megabytes=size) for size in (0, 1, 1))
    little._room = 6000  # of bytes: two or three of these images
    shown = {}
    for name, each in (("plain", plain), ("kept", kept), ("little", little)):
        read.clear()
        shown[name] = [each[epoch, number].images for epoch in range(3) for number in range(len(each))]
        shown[name + " reads"] = len(read)
    views = sum(min(2, len(study.views)) for study in corpus.studies)
    assert shown["plain reads"] == 3 * views
    assert shown["kept reads"] == views
    assert views < shown["little reads"] < 3 * views
    for first, second, third in zip(shown["plain"], shown["kept"], shown["little"], strict=True):
        assert np.array_equal(first, second)
        assert np.array_equal(first, third)


def test_workers_read_the_same(corpus):
    for batch, other in zip(batches(corpus, seed=3), batches(corpus, seed=3, workers=1), strict=True):
        assert other.ids == batch.ids
        assert other.images.equal(batch.images)


def test_workers_that_start_afresh_can_be_sent_everything(corpus):
    sent = pickle.loads(pickle.dumps((dataset(corpus), partial(collate_studies, padding=0))))
    assert sent[1](sent[0].shard_of_batch([(0, 1)], WHOLE)).ids == ("study-1",)


def test_batch_moves_to_a_device(corpus):
    moved = batches(corpus)[0].to(torch.device("meta"))
    assert {tensor.device.type for tensor in vars(moved).values() if isinstance(tensor, torch.Tensor)} == {"meta"}


def test_studies_without_views_are_refused_by_name(corpus):
    bare = [Study(id=f"bare-{number}", split="train", views=(), report="Clear.") for number in range(5)]
    with pytest.raises(InputError, match=r"5 studies have no view \(first bare-0, bare-1, bare-2\); .*--no-images"):
        StudyDataset(
            corpus,
            bare,
            vocabulary=VOCABULARY,
            findings=LABELS,
            images=IMAGES,
            max_views=2,
            augment=False,
        )


def test_labels_that_are_ignored_never_become_positive(corpus):
    with pytest.raises(AssertionError, match="labels that are ignored"):
        dataset(corpus, findings=LABELS - 1)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"max_views": 0}, {"workers": -1}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(InputError, match="batches: size and max_views"):
        BatchSettings(**wrong)


def test_processes_that_stay_read_what_new_ones_would(corpus):
    loader = EpochLoader(dataset(corpus, augment=True), BatchSettings(size=2, workers=2), padding=0, seed=1)
    readers = set()
    for epoch, start in ((0, 1), (1, 0), (2, 0)):
        got = list(loader.epoch(epoch, start=start))
        readers |= {child.pid for child in multiprocessing.active_children()}
        for batch, other in zip(got, batches(corpus, seed=1, epoch=epoch, start=start, augment=True), strict=True):
            assert batch.ids == other.ids
            assert torch.equal(batch.images, other.images)
    assert len(readers) == 2


def test_views_left_out_depend_on_seed_epoch_and_study_alone(corpus):
    def shown(epoch: int, **choices) -> dict[str, int]:
        studies = dataset(corpus, max_views=3, augment=True, seed=5, **choices)
        read = load_batches(studies, BatchSettings(size=2), padding=0, epoch=epoch, seed=0)
        return {
            study: int(mask.sum()) for batch in read for study, mask in zip(batch.ids, batch.view_mask, strict=True)
        }

    all_views = dict(zip((f"study-{number}" for number in range(5)), NUM_VIEWS, strict=True))
    assert shown(0) == all_views
    seen = [shown(epoch, drop_views=1.0) for epoch in range(30)]
    assert seen == [shown(epoch, drop_views=1.0) for epoch in range(30)]
    # One stays at least, all never; a study of three views is shown with one or two.
    for study, number in all_views.items():
        assert {each[study] for each in seen} == set(range(1, max(2, number)))
    some = [shown(epoch, drop_views=0.5)["study-0"] for epoch in range(60)]
    assert 15 <= some.count(1) <= 45


def test_the_views_that_stay_keep_their_order_and_their_pixels(corpus):
    choices = {"max_views": 3, "seed": 5}
    whole = dataset(corpus, **choices)
    thinned = dataset(corpus, drop_views=1.0, **choices)
    rows = set()
    for epoch in range(30):
        views, kept = whole[epoch, 2].images, thinned[epoch, 2].images
        places = tuple(next(row for row, view in enumerate(views) if (view == one).all()) for one in kept)
        assert list(places) == sorted(set(places))
        rows.add(places)
    assert rows == {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)}


def test_without_the_setting_crops_are_as_before(corpus):
    plain, never = (dataset(corpus, augment=True, seed=4, **choices) for choices in ({}, {"drop_views": 1e-12}))
    assert all((plain[3, row].images == never[3, row].images).all() for row in range(5))


def test_parts_of_a_batch_are_padded_alike_when_views_are_left_out(corpus):
    settings = BatchSettings(size=5)
    thinned = dataset(corpus, max_views=3, augment=True, drop_views=1.0, seed=2)
    for epoch in range(5):
        (whole,) = load_batches(thinned, settings, padding=0, epoch=epoch, seed=1)
        for number in range(2):
            shard = Shard(number=number, of=2)
            (part,) = EpochLoader(thinned, settings, padding=0, seed=1, shard=shard).epoch(epoch)
            rows = list(shard.rows(5))
            assert part.images.equal(whole.images[rows])
            assert part.view_mask.equal(whole.view_mask[rows])


def test_view_statistics(corpus):
    assert dataset(corpus, max_views=2, drop_views=0.25).view_statistics() == {
        "counts": {"1": 2, "2": 3},
        "positions": {"?": 2, "? + ?": 3},
        "drop_views": 0.25,
    }


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_a_probability_outside_0_and_1_is_refused(wrong):
    with pytest.raises(InputError, match="drop_views"):
        BatchSettings(drop_views=wrong)
