"""The server's parts by themselves: settings, images, mentions, metrics, the log."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xpronet.serve
from xpronet.errors import InputError
from xpronet.generation.report import FindingScore, Report
from xpronet.images.transforms import ImageSettings
from xpronet.serve.counters import Metrics
from xpronet.serve.server import SILENCED, configure_log
from xpronet.serve.settings import ServeSettings
from xpronet.serve.stream import find_mentions, sentence_places, word_places
from xpronet.serve.uploaded_images import PREVIEW_SIDE, UploadedView, decode_study

SETTINGS = ImageSettings(size=64, short_side=80)


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    ramp = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    Image.fromarray(ramp).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "reading.example"])
def test_other_hosts_than_loopback_need_a_token(host: str):
    with pytest.raises(InputError, match="--token-file"):
        ServeSettings(host=host)
    assert not ServeSettings(host=host, token="sixteen letters!").loopback
    with pytest.raises(InputError, match="16 printable"):
        ServeSettings(host=host, token="short")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str):
    assert ServeSettings(host=host).loopback


@pytest.mark.parametrize("wrong", [{"queue": 0}, {"port": -1}, {"answer_seconds": 0.0}, {"gather_seconds": -1.0}])
def test_wrong_settings_are_named(wrong: dict[str, float]):
    with pytest.raises(InputError, match=f"serve.{next(iter(wrong))}"):
        ServeSettings(**wrong)  # type: ignore[arg-type]


def decode(content: bytes, settings: ImageSettings = SETTINGS) -> UploadedView:
    [view] = decode_study([content], settings, max_pixels=10**6, with_preview=True).views
    return view


def test_a_preview_shows_the_whole_image_and_what_the_network_saw():
    view = decode(png(200, 100))
    assert view.name == "view-1.png"
    assert view.preview is not None
    assert (view.preview.width, view.preview.height) == (200, 100)
    # The square of 64 of 80 pixels of the short side, in the middle: 80 of 100 by 80 of 200.
    assert view.preview.seen == pytest.approx((0.3, 0.1, 0.4, 0.8))
    shown = np.asarray(Image.open(io.BytesIO(view.preview.png)))
    left, _, width, _ = view.preview.seen
    assert abs(float(shown[:, round(left * 200)].mean()) - float(view.square[:, 0].mean())) < 4
    assert abs(float(shown[:, round((left + width) * 200) - 1].mean()) - float(view.square[:, -1].mean())) < 4


def test_a_padded_square_is_larger_than_the_image_and_a_squashed_one_is_the_image():
    padded, squashed = (
        decode(png(200, 100), ImageSettings(size=64, short_side=64, test=test)) for test in ("pad", "squash")
    )
    assert padded.preview is not None
    assert padded.preview.seen == pytest.approx((0, -0.5, 1, 2))
    assert squashed.preview is not None
    assert squashed.preview.seen == (0, 0, 1, 1)


def test_large_previews_are_reduced():
    view = decode(png(2800, 100))
    assert view.preview is not None
    assert (view.preview.width, view.preview.height) == (PREVIEW_SIDE, 50)


def test_mentions_name_the_words_that_affirm_or_deny():
    text = "There is a large pleural effusion. No pneumothorax is seen. Heart."
    said = {
        mention["finding"]: (mention["state"], [text[start:end] for start, end in mention["spans"]])
        for mention in find_mentions(text)
    }
    assert said["Pleural Effusion"][0] == "positive"
    assert "effusion" in said["Pleural Effusion"][1][-1]
    assert said["Pneumothorax"] == ("negative", ["No", "pneumothorax"])
    assert find_mentions("") == []


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["no", "mass", ".", ".", "clear", "."], "No mass. Clear."),  # a full stop that the text leaves out
        (["no", "mass", ".", "clear"], "No mass. Clear."),  # one that it adds
        (["no", "mass", ".", "clear"], "no mass . clear"),
        (["3.7", "cm", "."], "3.7 cm."),
    ],
)
def test_words_and_sentences_have_their_places_in_the_text(tokens: list[str], text: str):
    places = word_places(text, tokens)
    found = [text[start:end].lower() for start, end in places]
    assert [word for word in found if word] == [token for token, word in zip(tokens, found, strict=True) if word]
    assert all(word or token == "." for token, word in zip(tokens, found, strict=True))
    spans = sentence_places(text, tokens, places)
    assert " ".join(text[start:end] for start, end in spans) == text
    assert len(spans) == len([part for part in text.replace("3.7", "37").split(".") if part.strip()])


def test_a_text_without_words_is_one_sentence():
    assert sentence_places("written by hand", [], []) == [[0, 15]]


def test_metrics_are_those_of_one_server_in_prometheus_format():
    metrics, other = Metrics(), Metrics()
    for seconds in (0.3, 0.7, 2.0):
        metrics.batch_seconds.observe(seconds)
    metrics.requests.labels(route="/v1/reports", status=200).inc()
    metrics.add_gauge("queue_depth", "Waiting.", lambda: 3.0)
    lines = metrics.text().decode().splitlines()
    assert {
        'xpronet_requests_total{route="/v1/reports",status="200"} 1.0',
        'xpronet_batch_seconds_bucket{le="0.5"} 1.0',
        'xpronet_batch_seconds_bucket{le="+Inf"} 3.0',
        "xpronet_batch_seconds_count 3.0",
        "xpronet_worker_restarts_total 0.0",
        "xpronet_queue_depth 3.0",
        "# TYPE xpronet_answer_seconds histogram",
    } <= set(lines)
    assert metrics.mean_batch_seconds == pytest.approx(1.0)
    assert other.mean_batch_seconds == 0.0
    assert "/v1/reports" not in other.text().decode()


def test_the_log_holds_nothing_of_other_libraries():
    script = """
import logging, sys, warnings
from xpronet.serve.server import configure_log
configure_log(sys.stderr)
for library in ("highdicom.sr", "pydicom", "root"):
    logging.getLogger(library).info("1.2.3.4 of a library")
    logging.getLogger(library).warning("1.2.3.4 of a library")
warnings.warn("1.2.3.4 of a library")
logging.getLogger("xpronet.serve").info("a request")
logging.getLogger("uvicorn.error").warning("an oddity")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert [line.split(" ", 2)[2] for line in run.stderr.splitlines()] == ["a request", "an oddity"]
    assert run.stdout == ""


def test_a_report_comes_back_from_its_record():
    score = FindingScore(name="Edema", probability=0.25, threshold=0.5, present=False)
    report = Report(id="a", text="Clear.", findings=(score,), labels_from="predicted", log_probability=-1.5)
    assert Report.from_record(json.loads(json.dumps(report.answer(model="m")))) == report


def test_the_page_asks_for_nothing_elsewhere_and_builds_no_markup():
    static = Path(xpronet.serve.__file__).parent / "static"
    assert len(list(static.iterdir())) >= 8
    for path in static.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, path
        assert "https:" not in text, path
        assert "innerHTML" not in text, path
        assert " style=" not in text, path
        assert "eval(" not in text, path


def test_the_log_never_has_lines_of_the_dicom_libraries(tmp_path: Path) -> None:
    names = ("", "xpronet", "uvicorn", "asyncio", "py.warnings", *SILENCED)
    loggers = {name: logging.getLogger(name) for name in names}
    before = {name: (list(one.handlers), one.level, one.propagate) for name, one in loggers.items()}
    log, root = (tmp_path / "log").open("w", encoding="utf-8"), io.StringIO()
    try:
        configure_log(log)
        # As a library may do at any time.
        logging.getLogger().addHandler(logging.StreamHandler(root))
        logging.getLogger().setLevel(logging.INFO)
        logging.getLogger("highdicom.base").info('copy Patient-related attributes from dataset "1.2.3.4"')
        logging.getLogger("pydicom").warning("the value of 1.2.3.4 is malformed")
        logging.getLogger("xpronet.serve").info("POST /v1/reports 200")
    finally:
        logging.captureWarnings(False)
        for name, (handlers, level, propagate) in before.items():
            loggers[name].handlers[:] = handlers
            loggers[name].setLevel(level)
            loggers[name].propagate = propagate
    log.close()
    written = (tmp_path / "log").read_text()
    assert "POST /v1/reports 200" in written
    assert "1.2.3.4" not in written + root.getvalue()
