"""The public functions: images in any form, studies in any container, texts scored without a file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xpronet
from xpronet.generation.generator import ReportGenerator


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> ReportGenerator:
    return xpronet.load(tiny_run)


@pytest.fixture(scope="module")
def files(phantom: xpronet.Corpus) -> list[Path]:
    return [phantom.view_path(view) for view in phantom.split("test")[0].views]


def test_import_is_quick_and_needs_no_torch() -> None:
    code = (
        "import sys, time; started = time.perf_counter(); import xpronet; took = time.perf_counter() - started; "
        "print(took); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # 0.02 s on a quiet machine.
    assert float(done.stdout) < 0.3


def test_every_public_name_exists() -> None:
    assert all(getattr(xpronet, name) is not None for name in xpronet.__all__)
    assert set(xpronet.__all__) <= set(dir(xpronet))
    with pytest.raises(AttributeError, match="nothing"):
        _ = xpronet.nothing


def test_files_pil_images_and_arrays_give_one_report(model: ReportGenerator, files: list[Path]) -> None:
    report = model.report(files)
    arrays = [np.asarray(Image.open(file)) for file in files]
    for images in ([str(file) for file in files], [Image.open(file) for file in files], arrays):
        other = model.report(images)
        assert (other.text, other.findings) == (report.text, report.findings)
    assert report.id == files[0].stem
    assert report.view_names == tuple(file.name for file in files)
    assert report.words
    assert report.words[0].attention.shape[0] == len(files)
    assert model.report(arrays[0]).view_names == ("view 1",)


def test_a_checkpoint_folder_by_a_bare_name(
    tiny_run: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree((tiny_run / "checkpoints/best").resolve(), tmp_path / "ckpt")
    monkeypatch.chdir(tmp_path)
    report = xpronet.load("ckpt").report(files)
    assert report.text == xpronet.load(tiny_run).report(files).text


def test_studies_of_any_container_come_in_order(
    model: ReportGenerator, phantom: xpronet.Corpus, phantom_folder: Path, tmp_path: Path
) -> None:
    studies = phantom.split("val")[:3]
    paths = {study.id: [phantom.view_path(view) for view in study.views] for study in studies}
    expected = [model.report(images, with_evidence=False).text for images in paths.values()]
    assert [report.text for report in model.reports(list(paths.values()), batch_size=2)] == expected
    by_id = list(model.reports(paths, batch_size=2))
    assert [(report.id, report.text) for report in by_id] == list(zip(paths, expected, strict=True))
    for number, images in enumerate(paths.values()):
        folder = tmp_path / f"study{number}"
        folder.mkdir()
        for view, image in enumerate(images):
            (folder / f"{view}.png").write_bytes(image.read_bytes())
    assert [report.text for report in model.reports(tmp_path)] == expected
    assert len(list(model.reports(phantom_folder))) == len(phantom.studies)


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ([], "no image given"),
        (np.zeros((4, 4, 4), np.uint8), r"array of shape \(4, 4, 4\)"),
        (np.zeros((8, 8), np.float32), "type float32"),
        ("missing.png", "missing.png: no such file"),
    ],
)
def test_what_is_no_image_is_refused(model: ReportGenerator, images: object, told: str) -> None:
    with pytest.raises(xpronet.InputError, match=told):
        model.report(images)


def test_texts_are_scored_without_a_file(phantom: xpronet.Corpus) -> None:
    settings = xpronet.EvaluationSettings(skip_meteor=True)
    references = [study.report for study in phantom.split("test")]
    card = xpronet.evaluate(references, references, settings=settings)
    assert card.to_dict()["model"]["scores"]["BLEU-4"]["value"] == pytest.approx(1)
    assert card.to_markdown().startswith("# Scorecard: 8 studies")
    assert "<table>" in card._repr_html_()
    by_corpus = xpronet.evaluate(references, corpus=phantom, settings=settings)
    assert by_corpus.model.scores["BLEU-4"].value == pytest.approx(1)
    assert by_corpus.language_lift is not None
    with pytest.raises(xpronet.InputError, match="2 predictions and 1 references"):
        xpronet.evaluate(["a b", "c d"], ["a b"], settings=settings)
    with pytest.raises(xpronet.InputError, match="texts without references"):
        xpronet.evaluate(["a b"], settings=settings)


def test_records_show_themselves_in_a_notebook(
    model: ReportGenerator, phantom: xpronet.Corpus, files: list[Path]
) -> None:
    page = model.report(files)._repr_html_()
    assert page.count("data:image/png;base64,") == len(files)
    assert "never a diagnosis" in page
    assert "phantom" in phantom._repr_html_()
    assert phantom.studies[0].id in phantom.studies[0]._repr_html_()
