import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import PrototypeSettings, cluster_findings, random_bank
from xpronet.prototypes.features import StudyFeatures

RAW = {"normalise": False, "restarts": 2}
CARDIOMEGALY = FINDINGS.index("Cardiomegaly")


def features_of(original: np.ndarray, mirrored: np.ndarray, text: np.ndarray) -> StudyFeatures:
    arrays = {"original": original, "mirrored": mirrored, "text": text}
    return StudyFeatures(
        ids=tuple(f"s{row}" for row in range(len(original))),
        **{name: np.asarray(array, np.float32) for name, array in arrays.items()},
        image_encoder="images",
        images={"size": 64},
        text_encoder="texts",
    )


def drawn(studies: int, seed: int = 0) -> StudyFeatures:
    rng = np.random.default_rng(seed)
    return features_of(*(rng.normal(size=(studies, width)) for width in (4, 4, 3)))


def labels_of(studies: int, **positive: list[int]) -> np.ndarray:
    labels = np.zeros((studies, len(FINDINGS)), np.float32)
    for finding, rows in positive.items():
        labels[rows, FINDINGS.index(finding)] = 1
    return labels


def clusters_around(centres: np.ndarray, members: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.repeat(centres, members, axis=0) + rng.normal(scale=0.01, size=(len(centres) * members, centres.shape[1]))


def test_prototypes_are_the_means_of_the_clusters():
    images = clusters_around(np.array([[0, 0], [10, 0], [0, 10]]), 4)
    texts = np.repeat([[1.0], [2.0], [3.0]], 4, axis=0)
    features = features_of(images, images + 0.001, texts)
    bank = cluster_findings(
        features, labels_of(12, Cardiomegaly=list(range(12))), PrototypeSettings(per_finding=3, **RAW)
    )
    joined = np.concatenate([images + 0.0005, texts], axis=1).reshape(3, 4, 3).mean(axis=1)
    found = bank.of("Cardiomegaly")
    assert bank.vectors.shape == (14 * 3, 3)
    np.testing.assert_allclose(found[np.argsort(found[:, 2])], joined, atol=1e-5)


def test_rows_stand_by_finding_then_size():
    images = clusters_around(np.array([[5, 5], [0, 10], [0, 10], [0, 10], [9, 0], [9, 0]]), 4)
    features = features_of(images, images, np.ones((24, 1)))
    bank = cluster_findings(
        features, labels_of(24, Cardiomegaly=list(range(24))), PrototypeSettings(per_finding=3, **RAW)
    )
    rows = bank.vectors[CARDIOMEGALY * 3 : CARDIOMEGALY * 3 + 3]
    np.testing.assert_allclose(rows[:, :2], [[0, 10], [9, 0], [5, 5]], atol=0.1)
    assert np.array_equal(bank.of("Cardiomegaly"), rows)


def test_union_mixes_pictures_and_mirror_images_and_split_does_not():
    originals, mirrors = np.full((6, 1), 1.0), np.full((6, 1), -1.0)
    originals[:3] += 0.1
    mirrors[:3] += 0.1
    features = features_of(originals, mirrors, np.zeros((6, 1)))
    labels = labels_of(6, Edema=list(range(6)))
    union = cluster_findings(features, labels, PrototypeSettings(per_finding=2, **RAW)).of("Edema")
    split = cluster_findings(features, labels, PrototypeSettings(per_finding=4, mode="split", **RAW)).of("Edema")
    np.testing.assert_allclose(sorted(union[:, 0]), [-0.95, 1.05], atol=1e-6)
    np.testing.assert_allclose(sorted(split[:2, 0]), [1, 1.1], atol=1e-6)
    np.testing.assert_allclose(sorted(split[2:, 0]), [-1, -0.9], atol=1e-6)


def test_normalised_features_count_alike():
    bank = cluster_findings(
        features_of(np.array([[300.0, 400.0]]), np.array([[0.0, 5.0]]), np.array([[0.0, 0.0]])),
        labels_of(1, Fracture=[0]),
        PrototypeSettings(per_finding=2),
    )
    np.testing.assert_allclose(bank.of("Fracture"), [[0.6, 0.8, 0, 0], [0, 1, 0, 0]], atol=1e-6)


def test_only_positive_studies_count():
    labels = labels_of(6, Cardiomegaly=[0, 1], Edema=[4])
    labels[2, CARDIOMEGALY] = np.nan
    bank = cluster_findings(drawn(6), labels, PrototypeSettings(per_finding=2))
    assert (bank.counts["Cardiomegaly"], bank.counts["Edema"], bank.counts["Fracture"]) == (2, 1, 0)
    changed = drawn(6)
    changed.original[2:4] = 100
    again = cluster_findings(changed, labels, PrototypeSettings(per_finding=2))
    assert np.array_equal(bank.of("Cardiomegaly"), again.of("Cardiomegaly"))


def test_a_finding_with_few_studies_has_them_and_their_mean():
    features = drawn(5)
    bank = cluster_findings(features, labels_of(5, Pneumonia=[1, 3]), PrototypeSettings(per_finding=6, **RAW))
    samples = np.concatenate(
        [
            np.concatenate([images[[1, 3]], features.text[[1, 3]]], axis=1)
            for images in (features.original, features.mirrored)
        ]
    )
    np.testing.assert_allclose(bank.of("Pneumonia")[:4], samples, atol=1e-6)
    np.testing.assert_allclose(bank.of("Pneumonia")[4:], np.repeat([samples.mean(0)], 2, axis=0), atol=1e-6)
    assert any(
        note.startswith("Pneumonia: too few different studies (2 in all) for 6 clusters; 2 of") for note in bank.notes
    )


def test_a_finding_without_studies_has_the_mean_of_all():
    features = drawn(5)
    bank = cluster_findings(features, labels_of(5, Pneumonia=[1]), PrototypeSettings(per_finding=2, **RAW))
    images = (features.original.mean(0) + features.mirrored.mean(0)) / 2
    expected = np.concatenate([images, features.text.mean(0)])
    np.testing.assert_allclose(bank.of("Fracture"), np.stack([expected, expected]), atol=1e-6)
    assert sum("no study has it" in note for note in bank.notes) == 13


def test_studies_that_are_alike_warn_of_nothing():
    features = features_of(np.ones((9, 2)), np.ones((9, 2)), np.ones((9, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bank = cluster_findings(features, labels_of(9, Edema=list(range(9))), PrototypeSettings(per_finding=4, **RAW))
    assert np.array_equal(bank.of("Edema"), np.ones((4, 3)))


@settings(max_examples=25, deadline=None)
@given(
    studies=st.integers(1, 30),
    per_finding=st.sampled_from([1, 2, 4]),
    mode=st.sampled_from(["union", "split"]),
    seed=st.integers(0, 99),
)
def test_any_corpus_gives_a_whole_bank(studies: int, per_finding: int, mode: str, seed: int):
    if mode == "split" and per_finding == 1:
        per_finding = 2
    features = drawn(studies, seed)
    labels = (np.random.default_rng(seed).random((studies, len(FINDINGS))) < 0.5).astype(np.float32)
    chosen = PrototypeSettings(per_finding=per_finding, mode=mode, seed=seed, restarts=1)
    bank = cluster_findings(features, labels, chosen)
    assert bank.vectors.shape == (len(FINDINGS) * per_finding, 7)
    assert np.isfinite(bank.vectors).all()
    # A mean of rows of length 1 and 1 is no longer than the root of 2.
    assert (np.linalg.norm(bank.vectors, axis=1) < 2**0.5 + 1e-5).all()
    assert [bank.counts[finding] for finding in FINDINGS] == labels.sum(0).tolist()
    assert np.array_equal(bank.vectors, cluster_findings(features, labels, chosen).vectors)


def test_random_banks_have_rows_of_length_about_one():
    first, again, other = (random_bank(image_width=512, text_width=128, seed=seed) for seed in (1, 1, 2))
    assert isinstance(first, PrototypeBank)
    assert first.vectors.shape == (280, 640)
    assert np.array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)
    assert np.linalg.norm(first.vectors, axis=1).mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"per_finding": 0}, "prototypes.per_finding = 0"),
        ({"per_finding": 5, "mode": "split"}, "prototypes.per_finding = 5"),
        ({"max_iterations": 0}, "prototypes.max_iterations = 0"),
        ({"restarts": 0}, "prototypes.restarts = 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict, named: str):
    with pytest.raises(InputError, match=named):
        PrototypeSettings(**wrong)
