"""The server's parts by themselves: settings, images, mentions, metrics."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xpronet.serve
from xpronet.errors import InputError
from xpronet.generation.report import FindingScore, Report
from xpronet.images.transforms import ImageSettings
from xpronet.serve.mentions import find_mentions
from xpronet.serve.metrics import Histogram, Metrics
from xpronet.serve.settings import ServeSettings
from xpronet.serve.uploaded_images import PREVIEW_SIDE, read_view

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


def test_a_preview_shows_the_whole_picture_and_where_the_network_looked():
    view = read_view(png(200, 100), 2, SETTINGS, max_pixels=10**6, with_preview=True)
    assert view.name == "view-2.png"
    assert view.preview is not None
    assert (view.preview.width, view.preview.height) == (200, 100)
    # The square of 64 of 80 pixels of the short side, in the middle: 80 of 100 by 80 of 200.
    assert view.preview.seen == pytest.approx((0.3, 0.1, 0.4, 0.8))
    shown = np.asarray(Image.open(io.BytesIO(view.preview.png)))
    left, _, width, _ = view.preview.seen
    assert abs(float(shown[:, round(left * 200)].mean()) - float(view.square[:, 0].mean())) < 4
    assert abs(float(shown[:, round((left + width) * 200) - 1].mean()) - float(view.square[:, -1].mean())) < 4


def test_a_padded_square_is_larger_than_the_picture_and_a_squashed_one_is_it():
    padded = read_view(
        png(200, 100), 1, ImageSettings(size=64, short_side=64, test="pad"), max_pixels=10**6, with_preview=True
    )
    squashed = read_view(
        png(200, 100), 1, ImageSettings(size=64, short_side=64, test="squash"), max_pixels=10**6, with_preview=True
    )
    assert padded.preview is not None
    assert padded.preview.seen == pytest.approx((0, -0.5, 1, 2))
    assert squashed.preview is not None
    assert squashed.preview.seen == (0, 0, 1, 1)


def test_large_previews_are_made_smaller():
    view = read_view(png(2800, 100), 1, SETTINGS, max_pixels=10**6, with_preview=True)
    assert view.preview is not None
    assert (view.preview.width, view.preview.height) == (PREVIEW_SIDE, 50)


def test_mentions_name_the_words_that_affirm_or_deny():
    tokens = ["there", "is", "a", "large", "pleural", "effusion", ".", "no", "pneumothorax", "is", "seen", ".", "heart"]
    said = {
        mention["finding"]: (mention["state"], [tokens[number] for number in mention["words"]])
        for mention in find_mentions(tokens)
    }
    assert said["Pleural Effusion"][0] == "positive"
    assert set(said["Pleural Effusion"][1]) >= {"effusion"}
    assert said["Pneumothorax"] == ("negative", ["no", "pneumothorax"])
    assert find_mentions(()) == []


def test_histograms_are_cumulative():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert histogram.lines("x") == [
        'x_bucket{le="1.0"} 2',
        'x_bucket{le="2.0"} 3',
        'x_bucket{le="+Inf"} 4',
        "x_sum 12.000000",
        "x_count 4",
    ]
    assert histogram.mean == 3.0


def test_every_metric_is_introduced():
    metrics = Metrics()
    metrics.answered("/v1/reports", 200)
    lines = metrics.text({"queue_depth": ("Waiting.", 3.0)}).splitlines()
    introduced = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    for line in lines:
        if not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            assert any(name.startswith(each) for each in introduced), line
    assert "xpronet_queue_depth 3" in lines


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
