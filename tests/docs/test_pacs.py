"""The commands of docs/how_to/pacs.md, with DCMTK's archive in Orthanc's place."""

import re
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from page_files import write_dicom

from xpronet.cli import run

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "pacs.md"
STUDY = "1.2.826.0.1.3680043.8.498.1"
CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 4
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ORTHANC {folder} RW (20, 1024mb) ANY
AETable END
"""


@pytest.fixture
def archive(tmp_path: Path):
    """A DICOM archive that listens; yields its port and the folder of what it holds."""
    if shutil.which("dcmqrscp") is None:
        pytest.skip("DCMTK is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "archive"
    folder.mkdir()
    (tmp_path / "dcmqrscp.cfg").write_text(CONFIGURATION.format(port=port, folder=folder))
    server = subprocess.Popen(["dcmqrscp", "-c", str(tmp_path / "dcmqrscp.cfg")])
    echo = ["echoscu", "-aec", "ORTHANC", "localhost", str(port)]
    deadline = time.monotonic() + 20
    while subprocess.run(echo, capture_output=True, check=False).returncode and time.monotonic() < deadline:
        time.sleep(0.05)
    yield port, folder
    server.terminate()
    server.wait()


def test_a_study_is_fetched_and_its_report_sent_back(archive: tuple[int, Path], desk: Path) -> None:
    pytest.importorskip("highdicom")
    pytest.importorskip("matplotlib")
    port, folder = archive
    for number, (name, view) in enumerate((("frontal.png", "PA"), ("lateral.png", "LL")), start=1):
        write_dicom(desk / f"{view}.dcm", desk / name, view=view, study=STUDY, number=number)
    send = ["storescu", "-aec", "ORTHANC", "localhost", str(port)]
    subprocess.run([*send, "PA.dcm", "LL.dcm"], check=True)

    lines = re.findall(r"^    ((?:mkdir|getscu|xpronet|dcmsend) .*)$", PAGE.read_text(), re.MULTILINE)
    make, fetch, report, store = [line.replace("=UID", f"={STUDY}").replace("4242", str(port)) for line in lines]
    subprocess.run(shlex.split(make), check=True)
    subprocess.run(shlex.split(fetch), check=True)
    films = sorted(map(str, Path("films").iterdir()))
    assert len(films) == 2
    words = [word for part in shlex.split(report)[1:] for word in (films if part == "films/*" else [part])]
    assert run(words) == 0
    subprocess.run(shlex.split(store), check=True)

    held = [path.name.partition("_")[0] for path in folder.iterdir() if path.name != "index.dat"]
    assert len(held) == 5, held
