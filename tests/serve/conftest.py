"""Servers on loopback, with real routes and sockets; the model runs in the process of the test."""

import contextlib
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xpronet.data.corpus import Corpus
from xpronet.evaluation.model_origin import read_model_origin
from xpronet.generation.generator import ReportGenerator
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import fingerprint
from xpronet.serve.service import served_model
from xpronet.serve.settings import ServeSettings
from xpronet.serve.worker import Job, generate_answers

Opened = Callable[..., contextlib.AbstractContextManager[str]]


class ThreadWorker:
    """A worker without a process of its own."""

    def __init__(self, generator: ReportGenerator, model: str, origin: dict[str, Any]) -> None:
        self.generator, self.model, self.origin = generator, model, origin
        self.batches: list[int] = []
        self.may_write = threading.Event()
        self.may_write.set()

    def start(self) -> None:
        pass

    def generate(self, jobs: Sequence[Job], seconds: float) -> list[bytes]:
        self.batches.append(len(jobs))
        assert self.may_write.wait(300)
        return generate_answers(self.generator, jobs, model=self.model, origin=self.origin)

    def stop(self) -> None:
        self.may_write.set()


@pytest.fixture(scope="session")
def worker(gated_run: Path) -> ThreadWorker:
    checkpoint = load_checkpoint(gated_run)
    generator = ReportGenerator(checkpoint, device=torch.device("cpu"))
    model = fingerprint(gated_run)
    return ThreadWorker(generator, model, read_model_origin(gated_run, fingerprint=model).record())


@pytest.fixture(scope="session")
def opened(gated_run: Path, worker: ThreadWorker) -> Opened:
    """Open a server with the settings given; its address is yielded."""
    from xpronet.serve.server import Listener

    model = served_model(gated_run, load_checkpoint(gated_run), worker.generator.settings, labels_from="predicted")

    @contextlib.contextmanager
    def open_server(**choices: object) -> Iterator[str]:
        addresses: list[str] = []
        listening = threading.Event()

        def ready(address: str) -> None:
            addresses.append(address)
            listening.set()

        settings = ServeSettings(**{"port": 0, **choices})  # type: ignore[arg-type]
        listener = Listener(model, [worker], settings, ready=ready)
        thread = threading.Thread(target=listener.run)
        thread.start()
        try:
            assert listening.wait(120)
            yield addresses[0]
        finally:
            listener.should_exit = True
            thread.join(120)
        assert not thread.is_alive()

    return open_server


@pytest.fixture(scope="session")
def address(opened: Opened) -> Iterator[str]:
    """A server as `xpronet serve` opens it."""
    with opened() as where:
        yield where


@pytest.fixture(scope="session")
def dicom_image() -> Callable[..., bytes]:
    """Make a DICOM file of noise, of an invented patient."""
    pydicom = pytest.importorskip("pydicom")

    def make(**elements: str) -> bytes:
        image = pydicom.Dataset()
        image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", pydicom.uid.generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", "1.2.3.1"
        image.PhotometricInterpretation, image.SamplesPerPixel = "MONOCHROME2", 1
        image.Rows = image.Columns = 64
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit, image.PixelRepresentation = 7, 0
        image.PixelData = np.random.default_rng(0).integers(0, 256, 64 * 64).astype(np.uint8).tobytes()
        for keyword, value in elements.items():
            setattr(image, keyword, value)
        image.file_meta = pydicom.dataset.FileMetaDataset()
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        stream = io.BytesIO()
        image.save_as(stream, enforce_file_format=True)
        return stream.getvalue()

    return make


@pytest.fixture(scope="session")
def view_files(phantom: Corpus) -> list[list[Path]]:
    """The files of some studies of one and two views."""
    studies = [[phantom.view_path(view) for view in study.views] for study in phantom.studies[:8]]
    return [paths[: 1 + number % 2] for number, paths in enumerate(studies)]
