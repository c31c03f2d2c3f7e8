"""Films as they are sent to the page: in full depth, in order, without a trace in the log."""

import base64
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import post
from PIL import Image

STREAM, FILMS, FULL = "/v1/reports/stream", "/v1/films/stream", "?pixels=full"
STORED = np.random.default_rng(1).integers(0, 4096, (96, 80)).astype(np.uint16)


def film(make: Callable[..., bytes], position: str, **elements: Any) -> bytes:
    """A film of 12 bits."""
    return make(
        **{
            "Rows": STORED.shape[0],
            "Columns": STORED.shape[1],
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelData": STORED.tobytes(),
            "ViewPosition": position,
            "PatientName": "Invented^Ida",
            "PatientID": "P-1",
            "WindowCenter": 2000,
            "WindowWidth": 3000,
            **elements,
        }
    )


def joined(events: list[tuple[str, Any]], number: int) -> np.ndarray:
    """The values of a view from its pieces."""
    pieces = [value for name, value in events if name == "pixels" and value["number"] == number]
    starts = [piece["start"] for piece in pieces]
    values = [np.frombuffer(base64.b64decode(piece["data"]), "<u2") for piece in pieces]
    assert starts == list(np.cumsum([0, *map(len, values)])[:-1])
    return np.concatenate(values)


def test_films_come_in_full_depth_where_asked_for(address: str, dicom_image: Callable[..., bytes]):
    content = film(dicom_image, "PA", ImagerPixelSpacing=["0.14", "0.14"], PatientOrientation=["L", "F"])
    events = post(address, [content], path=STREAM + FULL).events()
    assert [name for name, _ in events][:2] == ["view", "pixels"]
    assert events[-1][0] == "report"
    assert np.array_equal(joined(events, 1), STORED.ravel())
    view = events[0][1]
    assert (view["depth"]["type"], view["depth"]["width"], view["depth"]["height"]) == ("uint16", 80, 96)
    assert view["depth"]["windows"] == [{"name": "", "centre": 2000, "width": 3000, "shape": "LINEAR"}]
    assert view["header"]["sides"] == ["R", "L", "H", "F"]
    assert view["header"]["spacing"] == [0.14, 0.14]
    assert view["header"]["PatientName"] == "Invented^Ida"
    shallow = post(address, [content], path=STREAM).events()
    assert "pixels" not in [name for name, _ in shallow]
    assert shallow[0][1]["depth"] is None


def test_an_image_of_eight_bits_that_is_shown_whole_has_nothing_more(address: str, view_files: list[list[Path]]):
    events = post(address, [view_files[0][0].read_bytes()], path=STREAM + FULL).events()
    assert "pixels" not in [name for name, _ in events]


def test_films_without_a_report(address: str, dicom_image: Callable[..., bytes]):
    events = post(address, [film(dicom_image, "PA")], path=FILMS + FULL).events()
    assert {name for name, _ in events} == {"view", "pixels", "end"}
    assert events[-1] == ("end", {"warnings": []})


def test_lateral_films_go_behind_frontal_ones(address: str, dicom_image: Callable[..., bytes]):
    files = [film(dicom_image, "LL"), film(dicom_image, "PA")]
    views = [value for name, value in post(address, files, path=STREAM).events() if name == "view"]
    assert [(view["number"], view["upload"], view["name"]) for view in views] == [
        (1, 2, "view-2.dcm"),
        (2, 1, "view-1.dcm"),
    ]
    assert post(address, files).json()["views"] == ["view-2.dcm", "view-1.dcm"]


def test_an_image_given_twice_is_refused(
    opened: Any, address: str, dicom_image: Callable[..., bytes], view_files: list[list[Path]]
):
    image = view_files[0][0].read_bytes()
    uid = "1.2.3.4.5"
    again = [film(dicom_image, "PA", SOPInstanceUID=uid), film(dicom_image, "LL", SOPInstanceUID=uid)]
    for files in ([image, image], again):
        refused = post(address, files)
        assert refused.status == 422
        assert "view 2: the same image as view 1" in refused.json()["detail"]
    with opened(anyway=True) as lenient:
        assert any("the same image" in line for line in post(lenient, [image, image]).json()["warnings"])


def test_a_server_short_of_memory_sends_previews_only(opened: Any):
    stream = io.BytesIO()
    Image.fromarray(np.full((200, 200), 40000, np.uint16)).save(stream, "PNG")
    assert len(stream.getvalue()) < 20_000 < 200 * 200 * 2
    with opened(max_held_bytes=20_000) as address:
        events = post(address, [stream.getvalue()], path=STREAM + FULL).events()
        assert events[0][1]["depth"] is None
        assert "pixels" not in [name for name, _ in events]


def test_the_log_names_no_patient(address: str, dicom_image: Callable[..., bytes], caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    caplog.set_level("INFO", "xpronet.serve")
    post(address, [film(dicom_image, "PA")], path=STREAM + FULL)
    until = time.monotonic() + 10
    line = "POST /v1/reports/stream 200"
    while not any(record.getMessage().startswith(line) for record in caplog.records) and time.monotonic() < until:
        time.sleep(0.01)
    assert any(record.getMessage().startswith(line) for record in caplog.records)
    assert "Ida" not in caplog.text
    assert "P-1" not in caplog.text
