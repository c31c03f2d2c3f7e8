"""Checks of the field cases about `serve`, structured reports, patients and `show words`, on a tiny model trained here.

`check_<folder>` takes the case's folder and returns how many of its points are right, and how many there are.
"""

import contextlib
import http.client
import io
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from xpronet.cli import run as run_command
from xpronet.data.corpus import open_corpus
from xpronet.experiment.recipe import make_recipe
from xpronet.experiment.run import train_run
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom

RECIPE = """
[images]
size = 64
short_side = 64
[vocabulary]
min_count = 1
max_words = 40
[batches]
size = 8
[backbone]
depth = 18
width = 8
[text]
width = 8
[prototypes]
per_finding = 4
restarts = 1
[model]
width = 16
feed_forward = 16
heads = 2
layers = 1
gamma = 3
[train]
epochs = 2
seed = 1
[generate]
max_words = 40
beams = 5
"""
BOUNDARY = "field-case"
IDENTIFIERS = ("AccessionNumber", "PatientID", "IssuerOfPatientID", "StudyID", "PatientName")

_workplace = tempfile.TemporaryDirectory(prefix="xpronet-field-cases-")


@cache
def tiny_run() -> Path:
    """Train a model of a few thousand parameters, whose recipe searches with 5 beams."""
    corpus, run = Path(_workplace.name) / "corpus", Path(_workplace.name) / "run"
    make_phantom(corpus, PhantomSettings(studies=40, seed=3, prevalence="balanced", size=64))
    recipe = make_recipe(tomllib.loads(RECIPE), where="field cases")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        train_run(replace(recipe, corpus=str(corpus)), run)
    return run


def command(*arguments: object) -> tuple[int, str, str]:
    """Run a command; return its status, output and messages."""
    output, messages = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(messages):
        status = run_command([str(argument) for argument in arguments])
    return status, output.getvalue(), messages.getvalue()


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start `xpronet serve`; yield its host and port once the model is loaded."""
    arguments = [sys.executable, "-m", "xpronet", "serve", str(tiny_run()), "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[2].removeprefix("http://").rstrip("/")
            ask(address, "POST", "/v1/reports", upload([]))  # refused at once; the next one waits for the model
            yield address
        finally:
            process.terminate()


def ask(address: str, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
    """Return status, media type and body of an answer."""
    connection = http.client.HTTPConnection(address, timeout=120)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if body else {}
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("content-type", ""), answer.read()
    finally:
        connection.close()


def upload(files: Sequence[bytes]) -> bytes:
    """Return a multipart body with one part for each image."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="views"; filename="x"\r\n\r\n'.encode()
    return b"".join(head + content + b"\r\n" for content in files) + f"--{BOUNDARY}--\r\n".encode()


def check_serve_cut_body(folder: Path) -> tuple[int, int]:
    """A whole body is answered; a body without its closing boundary is refused with 400."""
    files = [path.read_bytes() for path in sorted(folder.glob("*.png"), reverse=True)]
    whole = upload(files)
    end = len(f"--{BOUNDARY}--\r\n")
    cuts = (end, end + 2, end + len(files[-1]) // 2, end + len(files[-1]) + 20)
    with server() as address:
        status, _, body = ask(address, "POST", "/v1/reports", whole)
        right = [status == 200 and len(json.loads(body)["views"]) == len(files)]
        for cut in cuts:
            for path in ("/v1/reports", "/v1/reports/stream"):
                right.append(ask(address, "POST", path, whole[:-cut])[0] == 400)
    return sum(right), len(right)


def check_serve_http(folder: Path) -> tuple[int, int]:
    """HEAD is answered without a body, and every error is JSON."""
    right = []
    with server() as address:
        ask(address, "POST", "/v1/reports", upload([next(folder.parent.glob("serve-cut-body/*.png")).read_bytes()]))
        for path in ("/", "/healthz", "/readyz"):
            status, _, body = ask(address, "HEAD", path)
            right.append(status == 200 and not body)
        for lines in (b"GET / HTTP/1.1\r\n\r\n", b"GET\r\n\r\n", b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.connect()
            connection.sock.sendall(lines)
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
            right.append("detail" in json.loads(answer.read()) if answer.status >= 400 else False)
            connection.close()
    return sum(right), len(right)


def check_sr_identifiers_cut(folder: Path) -> tuple[int, int]:
    """An identifier in a structured report is the image's own, whole, or empty."""
    right = []
    for path in sorted(folder.glob("*.dcm")):
        made = structured_report(path)
        if made is None:  # refused
            right.append(True)
            continue
        source = read_dicom(path)
        right.append(all(str(made.get(name) or "") in ("", str(source.get(name) or "")) for name in IDENTIFIERS))
    return sum(right), len(right)


def check_sr_silent_about_picture(folder: Path) -> tuple[int, int]:
    """A structured report says which images have no DICOM reference."""
    made = structured_report(*sorted(folder.glob("*.dcm")), *sorted(folder.glob("*.png")))
    texts = [] if made is None else [str(element.value) for element in made.iterall() if element.keyword == "TextValue"]
    return int(made is None or any("1 of 2 images has no DICOM reference: image 2" in text for text in texts)), 1


def check_two_patients(folder: Path) -> tuple[int, int]:
    """Images of two patients are refused: by `report`, by `show words` and by the server."""
    paths = sorted(folder.glob("*.dcm"))
    figure = Path(_workplace.name) / "figure.svg"
    right = [
        command("report", tiny_run(), *paths)[0] == 2,
        command("show", "words", tiny_run(), *paths, "--out", figure)[0] == 2,
        command("report", tiny_run(), paths[0])[0] == 0,
    ]
    with server() as address:
        status, media_type, _ = ask(address, "POST", "/v1/reports", upload([path.read_bytes() for path in paths]))
        right.append(status == 422 and media_type == "application/json")
    return sum(right), len(right)


def check_show_explains_another_report(folder: Path) -> tuple[int, int]:
    """`show words` explains the report that `report` generates, with the same search settings."""
    run = tiny_run()
    corpus = open_corpus(Path(_workplace.name) / "corpus")
    right = []
    for study in corpus.studies[:8]:
        _, report, _ = command("report", run, *(corpus.view_path(view) for view in study.views))
        figure = Path(_workplace.name) / f"{study.id}.svg"
        status, shown, _ = command("show", "words", run, study.id, "--corpus", corpus.folder, "--out", figure)
        right.append(status == 0 and shown.startswith(report.strip()))
    return sum(right), len(right)


def structured_report(*paths: Path):  # type: ignore[no-untyped-def] # pydicom is optional
    """Return the structured report that `xpronet report --sr` writes about images; None where it refuses to."""
    target = Path(_workplace.name) / "report.dcm"
    status, _, messages = command("report", tiny_run(), *paths, "--sr", target, "--overwrite")
    assert status in (0, 2), messages
    return read_dicom(target) if status == 0 else None


def read_dicom(path: Path):  # type: ignore[no-untyped-def]
    """Return a DICOM file without pixels, as pydicom reads it."""
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=True)


if __name__ == "__main__":
    cases = Path(sys.argv[1])
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            case = name.removeprefix("check_").replace("_", "-")
            print(case, *check(cases / case))
