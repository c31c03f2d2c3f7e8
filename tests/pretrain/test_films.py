"""Films decoded once."""

from pathlib import Path

import numpy as np
import pytest

from xpronet.errors import InputError
from xpronet.images.read import read_grey, write_grey
from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.films import FilmSet, open_films
from xpronet.pretrain.settings import LabelSettings
from xpronet.pretrain.studies import LabelledStudy, corpus_studies


def _open(drawn: Path, cache: Path) -> FilmSet:
    return open_films(corpus_studies(drawn, "val", LabelSettings(), max_views=2), cache, side=64)


def test_films_are_those_of_the_corpus_and_decoded_once(drawn: Path, tmp_path: Path) -> None:
    studies = corpus_studies(drawn, "val", LabelSettings(), max_views=2)
    films = open_films(studies, tmp_path, side=64)
    places, owners = films.films_of(np.array([3, 0]))
    assert owners.tolist() == [0] * len(studies[3].films) + [1] * len(studies[0].films)
    np.testing.assert_array_equal(films.pixels[places[0]], read_grey(studies[3].films[0]))
    (file,) = tmp_path.iterdir()
    made = file.stat().st_mtime_ns
    assert len(_open(drawn, tmp_path).pixels) == len(films.pixels)
    assert file.stat().st_mtime_ns == made


def test_a_film_of_another_shape_is_squashed_to_the_square(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    write_grey(path, np.tile(np.arange(96, dtype=np.uint8), (48, 1)))
    study = LabelledStudy(id="a", films=(path,), targets=np.zeros(len(FINDINGS), np.float32))
    (film,) = open_films([study], tmp_path / "cache", side=32).pixels
    assert film.shape == (32, 32)
    assert (np.diff(film.astype(int), axis=1) > 0).all()


def test_a_missing_film_and_a_torn_cache_are_refused_by_name(drawn: Path, tmp_path: Path) -> None:
    study = LabelledStudy(id="a", films=(tmp_path / "gone.png",), targets=np.zeros(len(FINDINGS), np.float32))
    with pytest.raises(InputError, match=r"gone.png: cannot be read"):
        open_films([study], tmp_path / "cache", side=32)
    _open(drawn, tmp_path)
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"not the films it is named after; remove it"):
        _open(drawn, tmp_path)
