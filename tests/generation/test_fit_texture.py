"""The texture gate: fitted on drawings, it knows textured images from drawings of other seeds, plain and altered."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.cli import run as command
from xpronet.data.corpus import Corpus, open_corpus
from xpronet.errors import InputError
from xpronet.generation import fit_texture
from xpronet.generation.fit_texture import altered, complete_texture_gate, fit_run_texture
from xpronet.generation.report import Report
from xpronet.generation.view_warnings import view_warnings
from xpronet.images import transforms
from xpronet.images.texture import texture_statistics
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.fitted_parts import load_texture_gate
from xpronet.model.out_of_distribution import GateSettings
from xpronet.model.texture_gate import LOOKS_DRAWN, WARNING, TextureGate
from xpronet.phantom.make_corpus import PhantomSettings, draw_phantom, make_phantom


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("texture") / "corpus"
    make_phantom(folder, PhantomSettings(studies=80, size=64, prevalence="balanced"), workers=1)
    return open_corpus(folder)


@pytest.fixture(scope="module")
def run(tiny_run: Path, drawn: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("textured") / "run", symlinks=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_texture, "SIZES", (64, 128))
        assert "refuses what is not drawn" in complete_texture_gate(copy, drawn, GateSettings())
    assert complete_texture_gate(copy, drawn, GateSettings()) == ""
    return copy


def clouds(count: int, size: int = 112) -> np.ndarray:
    """Images with detail at every scale, as films have and drawings have not."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    spectra = np.fft.fft2(rng.standard_normal((count, size, size))) / np.maximum(frequency, 1 / size) ** 1.5
    planes = np.fft.ifft2(spectra).real
    low, high = planes.min((1, 2), keepdims=True), planes.max((1, 2), keepdims=True)
    scaled: np.ndarray = ((planes - low) / (high - low) * 255).astype(np.uint8)
    return scaled


def test_texture_is_refused_and_drawings_of_another_seed_are_not(run: Path) -> None:
    gate, images = load_texture_gate(run), load_checkpoint(run).images
    assert gate is not None
    assert gate.of_drawings
    rng, settings = np.random.default_rng(1), PhantomSettings(studies=20, seed=5, size=64)
    greys = [view[0] for number in range(20) for view in draw_phantom(frozenset(), number, settings).views.values()]
    squares = np.stack([transforms.test_view(each, images) for grey in greys for each in (grey, altered(grey, rng))])
    assert (gate.scores(squares) > gate.threshold).mean() < 0.1
    assert (gate.scores(clouds(10)) > gate.threshold).all()


def test_the_commands_refuse_it_and_write_anyway(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "films").mkdir()
    film = tmp_path / "films" / "film.png"
    Image.fromarray(clouds(1)[0]).save(film)
    assert command(["report", str(run), str(film)]) == 2
    assert f"film.png: {WARNING}; add --anyway" in capsys.readouterr().err
    assert command(["report", str(run), str(film), "--anyway"]) == 0
    assert f"warning: film.png: {WARNING}" in capsys.readouterr().err
    assert command(["report", str(run), str(tmp_path / "films"), "--out", str(tmp_path / "out")]) == 1
    assert not list((tmp_path / "out").glob("*.txt"))
    assert command(["report", str(run), str(tmp_path / "films"), "--out", str(tmp_path / "out2"), "--anyway"]) == 0


def test_statistics_do_not_depend_on_brightness() -> None:
    squares = clouds(4) // 2
    assert np.allclose(texture_statistics(squares), texture_statistics(squares + 60), atol=1e-3)


def test_a_report_about_something_else_is_refused_and_says_so() -> None:
    from xpronet.generation.report import GateScore

    scores = (GateScore(score=3.0, threshold=2.0), GateScore(score=1.0, threshold=2.0))
    report = Report(id="a", text="", findings=(), labels_from="all", log_probability=0.0, texture=scores)
    assert report.refusals == (f"view 1: {WARNING}",) == report.warnings
    answer = report.answer(model="m")
    assert Report.from_record(answer).refusals == report.refusals
    assert not Report.from_record(answer).study_warnings


def test_a_model_of_films_warns_of_drawings(run: Path) -> None:
    gate = load_texture_gate(run)
    assert gate is not None
    checkpoint = load_checkpoint(run)
    checkpoint.texture = dataclasses.replace(gate, of_drawings=np.array(False))
    drawing = draw_phantom(frozenset(), 3, PhantomSettings(seed=5, size=64)).views["PA"][0]
    lines = view_warnings(checkpoint, [transforms.test_view(drawing, checkpoint.images)], ["a.png"])
    assert f"a.png: {LOOKS_DRAWN}" in lines
    film = [transforms.test_view(clouds(1)[0], checkpoint.images)]
    assert not [line for line in view_warnings(checkpoint, film, ["b.png"]) if LOOKS_DRAWN in line]


def test_a_corpus_of_few_images_gets_none(tiny_run: Path, drawn: Corpus) -> None:
    few = dataclasses.replace(drawn, studies=tuple(study for study in drawn.studies if study.split == "val"))
    assert fit_run_texture(tiny_run, few) is None


def test_tensors_of_something_else_are_named() -> None:
    with pytest.raises(InputError, match="somewhere: not a texture gate"):
        TextureGate.from_tensors({}, "somewhere")
