"""The nearest regions and words of prototypes, against the same cosines computed one by one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

from xpronet.data.corpus import Corpus
from xpronet.data.dataset import BatchSettings, StudyDataset
from xpronet.data.loader import load_batches
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.show.examples import EXAMPLES_FILE, SPRITE_FILE, TILE, cut_tile, write_examples
from xpronet.show.nearest import NearestRegion, PrototypeNeighbours, nearest_neighbours, studies_with_findings

CPU = torch.device("cpu")
PROTOTYPES = [(1, 0), (1, 3), (9, 2)]


@pytest.fixture(scope="module")
def checkpoint(tiny_run: Path) -> Checkpoint:
    return load_checkpoint(tiny_run)


@pytest.fixture(scope="module")
def labels(phantom: Corpus) -> np.ndarray:
    ids = [study.id for study in phantom.split("train")]
    return label_matrix(read_labels(phantom.folder / "labels.csv", ids), ids)


@pytest.fixture(scope="module")
def found(checkpoint: Checkpoint, phantom: Corpus, labels: np.ndarray) -> list[PrototypeNeighbours]:
    train = phantom.split("train")
    return nearest_neighbours(
        checkpoint, phantom, train, labels, PROTOTYPES, num_regions=3, num_words=5, device=CPU, batch=7
    )


def _key(checkpoint: Checkpoint, finding: int, index: int) -> torch.Tensor:
    matching = checkpoint.network.matching
    return matching.key(matching.projected())[finding * checkpoint.network.settings.per_finding + index]


@torch.inference_mode()
def test_regions_are_the_nearest_of_studies_with_the_finding(
    checkpoint: Checkpoint, phantom: Corpus, labels: np.ndarray, found: list[PrototypeNeighbours]
) -> None:
    network, train = checkpoint.network, phantom.split("train")
    dataset = StudyDataset(
        phantom,
        train,
        vocabulary=checkpoint.vocabulary,
        findings=labels,
        images=checkpoint.images,
        max_views=2,
        augment=False,
    )
    [batch] = load_batches(dataset, BatchSettings(size=len(train)), padding=checkpoint.vocabulary.padding)
    queries = network.matching.query(
        network.patch_embedding(network.encode_images(batch.images, batch.view_mask).features)
    )
    for (finding, index), each in zip(PROTOTYPES, found, strict=True):
        cosine = cosine_similarity(queries, _key(checkpoint, finding, index), dim=-1)  # studies, regions
        having = [row for row in range(len(train)) if labels[row, finding] == 1]
        assert each.studies == len(having)
        expected = sorted(((float(cosine[row].max()), train[row].id, row) for row in having), reverse=True)[:3]
        assert [region.study for region in each.regions] == [study for _, study, _ in expected]
        for region, (value, _, row) in zip(each.regions, expected, strict=True):
            assert region.cosine == pytest.approx(value, abs=1e-4)
            place = (region.view * region.side + region.row) * region.side + region.column
            assert float(cosine[row, place]) == pytest.approx(value, abs=1e-5)


@torch.inference_mode()
def test_words_are_the_nearest_on_average(
    checkpoint: Checkpoint, phantom: Corpus, labels: np.ndarray, found: list[PrototypeNeighbours]
) -> None:
    network, vocabulary = checkpoint.network, checkpoint.vocabulary
    finding, index = PROTOTYPES[0]
    cosines: dict[str, list[float]] = {}
    for study, row in zip(phantom.split("train"), labels, strict=True):
        if row[finding] != 1:
            continue
        ids = vocabulary.encode(study.report)
        queries = network.matching.query(network.place(torch.tensor([ids])))[0]
        for word, query in zip(vocabulary.word_list(ids), queries[1:], strict=False):
            value = float(cosine_similarity(query, _key(checkpoint, finding, index), dim=0))
            cosines.setdefault(word, []).append(value)
    means = {word: np.mean(each) for word, each in cosines.items() if len(each) >= 3 and word != "."}
    expected = sorted(means, key=lambda word: -means[word])[:5]
    assert [word.text for word in found[0].words] == expected
    for word in found[0].words:
        assert word.cosine == pytest.approx(means[word.text], abs=1e-4)
        assert word.count == len(cosines[word.text])


def test_studies_are_sampled_evenly(labels: np.ndarray) -> None:
    every = studies_with_findings(labels, [1], limit=1000)
    assert list(every) == list(np.flatnonzero(labels[:, 1] == 1))
    few = studies_with_findings(labels, [1, 9], limit=2)
    assert 2 <= len(few) <= 4
    assert all(labels[number, [1, 9]].any() for number in few)


def test_a_tile_holds_its_region_where_the_box_says() -> None:
    for side in (2, 4, 7):
        view = np.zeros((56, 56), np.uint8)
        cell = 56 // side
        for row, column in ((0, 0), (side - 1, side - 1), (side // 2, 0)):
            view[:] = 0
            view[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = 255
            region = NearestRegion(study="x", view=0, row=row, column=column, side=side, cosine=0.0)
            tile, (left, top, width, height) = cut_tile(view, region)
            assert tile.shape == (TILE, TILE)
            inside = tile[top + 2 : top + height - 2, left + 2 : left + width - 2]
            assert inside.size
            assert inside.min() == 255
            assert float(tile.sum()) == pytest.approx(255 * width * height, rel=0.12)


def test_examples_name_tiles_of_the_sprite(
    checkpoint: Checkpoint, phantom: Corpus, found: list[PrototypeNeighbours], tmp_path: Path
) -> None:
    record_of = {"model": "abc", "findings": FINDINGS, "num_studies": 28}
    write_examples(tmp_path, found, phantom, checkpoint.images, **record_of)
    record = json.loads((tmp_path / EXAMPLES_FILE).read_text())
    assert [finding["name"] for finding in record["findings"]] == list(FINDINGS)
    with Image.open(tmp_path / record["sprite"]) as image:
        sprite = np.asarray(image)
    assert sprite.shape == (3 * TILE, 3 * TILE)
    for finding in record["findings"]:
        for prototype in finding["prototypes"]:
            assert len(prototype["regions"]) == 3
            for region in prototype["regions"]:
                left, top = region["at"]
                assert sprite[top : top + TILE, left : left + TILE].std() > 0
                x, y, width, height = region["box"]
                assert 0 <= x <= x + width <= TILE
                assert 0 <= y <= y + height <= TILE
    before = (tmp_path / EXAMPLES_FILE).read_bytes(), (tmp_path / SPRITE_FILE).read_bytes()
    with pytest.raises(InputError, match="overwrite"):
        write_examples(tmp_path, found, phantom, checkpoint.images, **record_of)
    write_examples(tmp_path, found, phantom, checkpoint.images, **record_of, overwrite=True)
    assert before == ((tmp_path / EXAMPLES_FILE).read_bytes(), (tmp_path / SPRITE_FILE).read_bytes())
