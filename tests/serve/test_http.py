"""The HTTP interface: what it answers, and what it refuses."""

import http.client
import io
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from loopback import BOUNDARY, ask, multipart, post

from xpronet.commands.report import report
from xpronet.serve.guard import HEADERS, OPEN_PATHS
from xpronet.serve.openapi import ModelAnswer, ReportAnswer
from xpronet.serve.service import Service

TOKEN = "a token that nobody guesses"


def report_of(run: Path, files: list[Path], folder: Path) -> dict[str, Any]:
    """Return what `xpronet report --json` says about files named as the server names them."""
    names = [folder / f"view-{number}{path.suffix}" for number, path in enumerate(files, 1)]
    for name, path in zip(names, files, strict=True):
        name.write_bytes(path.read_bytes())
    report(str(run), tuple(names), json=folder / "answer.json", overwrite=True)
    return json.loads((folder / "answer.json").read_text())


def wait_for(address: str, line: str) -> None:
    """Wait until the metrics say so."""
    while True:
        metrics = ask(address, "/metrics")
        assert metrics.status == 200
        if line in metrics.body.decode():
            return
        time.sleep(0.05)


def assert_same(given: Any, expected: Any, where: str = "") -> None:
    """Compare JSON values; sums of floats differ in the last digits with the size of the batch."""
    if isinstance(expected, float) or (isinstance(expected, list) and expected and isinstance(expected[0], list)):
        assert np.shape(given) == np.shape(expected), where
        assert np.allclose(given, expected, atol=2e-5), where
    elif isinstance(expected, dict):
        assert given.keys() == expected.keys(), where
        for name in expected:
            assert_same(given[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, list):
        assert len(given) == len(expected), where
        for number, (one, other) in enumerate(zip(given, expected, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    else:
        assert given == expected, where


def test_an_answer_is_what_report_writes(address: str, gated_run: Path, view_files: list[list[Path]], tmp_path: Path):
    files = view_files[1]
    answer = post(address, [path.read_bytes() for path in files], names=["../../etc/passwd", "Jane Doe.png"])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    given = answer.json()
    assert given["views"] == ["view-1.png", "view-2.png"]
    assert given["words"]
    assert_same(given, report_of(gated_run, files, tmp_path))


def test_requests_share_batches_and_each_gets_its_own_answer(
    address: str, worker: Any, gated_run: Path, view_files: list[list[Path]], tmp_path: Path
):
    worker.batches.clear()
    worker.may_write.clear()
    with ThreadPoolExecutor(len(view_files)) as threads:
        waiting = [threads.submit(post, address, [path.read_bytes() for path in files]) for files in view_files]
        wait_for(address, "xpronet_requests_in_flight 8.0")
        time.sleep(0.2)  # the last images are decoded
        worker.may_write.set()
        answers = [one.result().json() for one in waiting]
    assert sum(worker.batches) == 8
    assert len(worker.batches) <= 3
    for files, given in zip(view_files, answers, strict=True):
        assert_same(given, report_of(gated_run, files, tmp_path))


def test_a_stream_sends_views_then_sentences_then_the_report(address: str, view_files: list[list[Path]]):
    files = [path.read_bytes() for path in view_files[1]]
    answer = post(address, files, path="/v1/reports/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.events()
    assert [name for name, _ in events[:2]] == ["view", "view"]
    assert events[-1][0] == "report"
    sentences = [value["text"] for name, value in events if name == "sentence"]
    assert len(sentences) == len(events) - 3
    final = events[-1][1]
    assert " ".join(sentences) == final["report"]
    words = [final["report"][start:end].lower() for start, end in final["places"]]
    assert [word for word in words if word] == [word["text"] for word in final["words"]][: len(words)]
    assert [final["report"][start:end] for start, end in final["spans"]] == sentences
    assert [[sentence["start"], sentence["end"]] for sentence in final["sentences"]] == final["spans"]
    assert np.shape(final["empty"]) == np.shape(final["words"][0]["attention"])
    plain = post(address, files).json()
    assert_same({name: final[name] for name in plain}, plain)


def test_model_health_and_metrics(address: str, worker: Any):
    model = ask(address, "/v1/model").json()
    assert model["model"] == worker.model
    assert len(model["findings"]) == 14
    assert model["gate"] is True
    assert "never a diagnosis" in model["notice"]
    assert ask(address, "/healthz").json() == {"status": "ok"}
    wait_for(address, "xpronet_workers_ready 1")
    assert ask(address, "/readyz").status == 200
    text = ask(address, "/metrics").body.decode()
    assert 'xpronet_requests_total{route="/healthz",status="200"}' in text
    assert "xpronet_answer_seconds_bucket" in text
    assert ask(address, "/docs").status == 404


def test_the_openapi_description_is_that_of_the_answers(address: str, view_files: list[list[Path]]):
    described = ask(address, "/openapi.json").json()
    media_types = {
        path: list(next(iter(methods.values()))["responses"]["200"]["content"])
        for path, methods in described["paths"].items()
    }
    assert media_types | {"/v1/structured-reports": []} == {
        "/v1/reports": ["application/json"],
        "/v1/reports/stream": ["text/event-stream"],
        "/v1/films/stream": ["text/event-stream"],
        "/v1/structured-reports": [],
        "/v1/mentions": ["application/json"],
        "/v1/model": ["application/json"],
        "/v1/prototypes": ["application/json"],
        "/v1/prototypes/tiles": ["image/png"],
        "/healthz": ["application/json"],
        "/readyz": ["application/json"],
        "/metrics": ["text/plain"],
    }
    post_report = described["paths"]["/v1/reports"]["post"]
    assert set(post_report["requestBody"]["content"]) == {"multipart/form-data"}
    schema = post_report["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ReportAnswer"}
    assert {"400", "413", "422", "503"} <= post_report["responses"].keys()
    answer = post(address, [view_files[1][0].read_bytes()])
    assert answer.json()["gate"]
    ReportAnswer.model_validate_json(answer.body, strict=True)  # no value is undocumented
    ModelAnswer.model_validate_json(ask(address, "/v1/model").body, strict=True)


def test_the_openapi_description_asks_for_the_token(opened: Any):
    with opened(token=TOKEN) as address:
        described = ask(address, "/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    secured = {path for path, methods in described["paths"].items() if all("security" in m for m in methods.values())}
    assert secured == described["paths"].keys() - OPEN_PATHS


def test_mentions_of_any_text_are_read(address: str):
    text = "No effusion. There is a large mass in the left lung."

    def mentions(body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        return ask(address, "/v1/mentions", method="POST", body=json.dumps(body).encode(), headers=headers)

    found = mentions({"text": text}).json()
    assert [(each["finding"], each["state"]) for each in found] == [
        ("Pleural Effusion", "negative"),
        ("Lung Lesion", "positive"),
    ]
    assert [text[start:end] for start, end in found[0]["spans"]] == ["No", "effusion"]
    assert mentions({"text": ""}).json() == []
    for wrong in ({}, {"text": 1}, [], {"text": "", "more": ""}):
        assert mentions(wrong).status == 400
    assert mentions({"text": "x" * 20_001}).status == 413


def test_a_structured_report_names_who_edited_its_text(address: str, view_files: list[list[Path]]):
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("highdicom")
    files = [path.read_bytes() for path in view_files[0]]
    made = post(address, files, path="/v1/structured-reports", text="Edited.", person="Reader^Ada")
    assert made.status == 200
    content = str(pydicom.dcmread(io.BytesIO(made.body)))
    assert "Reader^Ada" in content
    assert "Edited." in content
    assert "Predecessor Documents Sequence" in content
    refused = post(address, files, path="/v1/structured-reports", text="Edited.", person="a" * 65)
    assert refused.status == 422
    assert "Family^Given" in refused.json()["detail"]


def test_model_and_report_say_what_the_model_learned_from(address: str, view_files: list[list[Path]]):
    origin = ask(address, "/v1/model").json()["origin"]
    assert origin["drawn"] is True
    assert origin["corpus"] == "phantom"
    assert origin["studies"]["train"] > 0
    assert "worthless on patients" in origin["lines"][0]


def test_head_is_answered_as_get_without_a_body(address: str):
    wait_for(address, "xpronet_workers_ready 1")
    for path in ("/", "/healthz", "/readyz", "/v1/model", "/static/page.js"):
        head, whole = ask(address, path, method="HEAD"), ask(address, path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.body))
    assert ask(address, "/v1/reports", method="HEAD").status == 405


@pytest.mark.parametrize("drop", [2, 7, len(BOUNDARY) + 8, 400])
def test_a_body_without_its_closing_boundary_is_refused(address: str, view_files: list[list[Path]], drop: int):
    files = [path.read_bytes() for path in view_files[1]]
    body = multipart(files)
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    for path in ("/v1/reports", "/v1/reports/stream", "/v1/structured-reports"):
        answer = ask(address, path, method="POST", body=body[:-drop], headers=kind)
        if drop == 2:  # the line break behind the closing boundary
            assert answer.status == 200
        else:
            assert answer.status == 400
            assert "closing boundary" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"nonsense\r\n\r\n", 400),
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /v1/model/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"DELETE /v1/model HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413),
    ],
)
def test_every_error_is_json_with_a_detail(address: str, request_line: bytes, status: int):
    url = urlsplit(address)
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=60) as connection:
        connection.sendall(request_line)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.read())["detail"]


def test_errors_of_ours_and_too_many_connections_are_json(opened: Any, monkeypatch: pytest.MonkeyPatch):
    with opened() as address:
        with monkeypatch.context() as patch:
            patch.setattr(Service, "describe", lambda service: 1 // 0)
            failed = ask(address, "/v1/model")
        assert (failed.status, list(failed.json())) == (500, ["detail"])
        monkeypatch.setattr("xpronet.serve.server.MAX_CONNECTIONS", 0)
        refused = ask(address, "/v1/model")
        assert (refused.status, list(refused.json())) == (503, ["detail"])


def test_images_of_two_patients_are_refused_and_a_lone_dicom_image_is_warned_of(
    address: str, dicom_image: Callable[..., bytes], view_files: list[list[Path]]
):
    first = dicom_image(PatientID="P1")
    for other in (dicom_image(PatientID="P2"), dicom_image(PatientID="P1", StudyInstanceUID="1.2.9")):
        for path in ("/v1/reports", "/v1/reports/stream", "/v1/structured-reports"):
            refused = post(address, [first, other], path=path)
            assert refused.status == 422
            assert re.match("view 2: of another (patient|study) than view 1", refused.json()["detail"])
    answer = post(address, [first, view_files[0][0].read_bytes()]).json()
    assert any(warning.startswith("view-2.png: not DICOM") for warning in answer["warnings"])


def test_every_answer_carries_the_headers_that_keep_a_browser_safe(address: str):
    for path in ("/", "/v1/model", "/nowhere"):
        headers = ask(address, path).headers
        for name, value in HEADERS:
            if name != b"cache-control":
                assert headers[name.decode()] == value.decode()
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    policy = ask(address, "/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Host": "LOCALHOST:1"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Length": str(1 << 30)}, 413),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_requests_from_other_origins_are_refused(address: str, headers: dict[str, str], status: int):
    assert ask(address, "/v1/model", headers=headers).status == status


def test_a_token_is_asked_for(opened: Any, view_files: list[list[Path]]):
    files = [path.read_bytes() for path in view_files[0]]
    with opened(token=TOKEN) as address:
        assert ask(address, "/").status == 200
        assert ask(address, "/healthz").status == 200
        for path in ("/v1/model", "/metrics", "/openapi.json"):
            refused = ask(address, path)
            assert refused.status == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert ask(address, path, headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
        for wrong in (TOKEN[:-1], TOKEN + "x", "", "Basic " + TOKEN):
            assert post(address, files, headers={"Authorization": f"Bearer {wrong}"}).status == 401
        assert post(address, files, headers={"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_a_full_queue_says_when_to_try_again(opened: Any, worker: Any, view_files: list[list[Path]]):
    files = [path.read_bytes() for path in view_files[0]]
    with opened(queue=1) as address:
        worker.may_write.clear()
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(post, address, files)
            wait_for(address, "xpronet_requests_in_flight 1.0")
            refused = post(address, files)
            worker.may_write.set()
            assert first.result().status == 200
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert post(address, files).status == 200


def test_an_answer_that_takes_too_long_is_given_up(opened: Any, worker: Any, view_files: list[list[Path]]):
    files = [path.read_bytes() for path in view_files[0]]
    with opened(answer_seconds=0.3) as address:
        worker.may_write.clear()
        try:
            assert post(address, files).status == 504
            [*_, (name, value)] = post(address, files, path="/v1/reports/stream").events()
            assert (name, value["status"]) == ("error", 504)
        finally:
            worker.may_write.set()


def test_uploads_beyond_the_limits_are_refused(opened: Any, view_files: list[list[Path]]):
    image = view_files[0][0].read_bytes()
    others = [path.read_bytes() for files in view_files for path in files]
    with opened(max_files=2, max_upload_bytes=1 << 16, max_pixels=64 * 64) as address:
        assert post(address, others[:2]).status == 200
        assert post(address, [image] * 3).status == 400
        assert post(address, []).status == 400
        assert post(address, [bytes(1 << 16)]).status == 413
        assert post(address, [image], text="edited").status == 200
        assert ask(address, "/v1/reports", method="POST", body=b"x" * 10).status == 415
    with opened(max_pixels=64 * 64 - 1) as address:
        refused = post(address, [image])
        assert refused.status == 422
        assert "view 1: 64 x 64 pixels are more than the 4,095 allowed" in refused.json()["detail"]


def test_the_log_names_no_file_and_no_path(
    address: str, view_files: list[list[Path]], caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "xpronet.serve")
    post(address, [view_files[0][0].read_bytes()], names=["Jane_Doe.png"])
    post(address, [b"no image"], names=["Jane_Doe.dcm"])
    ask(address, "/patients/Jane_Doe?name=Jane_Doe")
    # A line is written once the answer has gone.
    until = time.monotonic() + 10
    while len(lines := [record.getMessage() for record in caplog.records]) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert any(line.startswith("POST /v1/reports 200") for line in lines)
    assert any(line.startswith("GET other 404") for line in lines)
    assert "Doe" not in "\n".join(lines)


def test_many_threads_may_ask_at_once(address: str):
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(address, "/v1/model").status)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20


def test_films_of_another_body_part_are_refused_unless_asked_for(opened: Any, dicom_image: Callable[..., bytes]):
    tibia = dicom_image(BodyPartExamined="EXTREMITY")
    with opened() as address:
        refused = post(address, [tibia])
        assert refused.status == 422
        assert "not a chest film (BodyPartExamined is EXTREMITY)" in refused.json()["detail"]
    with opened(anyway=True) as address:
        assert any("not a chest film" in warning for warning in post(address, [tibia]).json()["warnings"])
    with opened(anyway=True, strict=True) as address:
        refused = post(address, [tibia])
        assert refused.status == 422
        assert refused.json()["detail"].endswith("this server is strict and refuses such studies")
