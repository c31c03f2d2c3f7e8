"""What the HTTP routes call: take a study, have its images decoded, have a report written in time."""

import asyncio
import json
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.images.transforms import ImageSettings
from xpronet.model.search_settings import BeamSettings
from xpronet.serve.batcher import Batcher
from xpronet.serve.metrics import Metrics
from xpronet.serve.refusal import RefusedError
from xpronet.serve.settings import ServeSettings
from xpronet.serve.uploaded_images import UploadedView, read_view
from xpronet.serve.worker import Job, WorkerError

STRUCTURED_REPORT = "xpronet.serve.structured_report"
"""The module that writes DICOM structured reports, where it is installed with what it needs."""
NOTICE = "Research use only. A draft, never a diagnosis."


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What `xpronet show prototypes` wrote into the run, as it lies there."""

    record: bytes
    """JSON."""
    sprite: bytes
    """PNG."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """What the server knows of the model without having it in its own process."""

    name: str
    """The run folder's name."""
    fingerprint: str
    """First digits of the weights' SHA-256."""
    images: ImageSettings
    max_views: int
    """Views a study had in training, at most."""
    search: BeamSettings
    """How a report is searched for."""
    thresholds: dict[str, float]
    """For each finding."""
    examples: Examples | None
    """Regions and words that each prototype stands for, where the run has them."""
    has_gate: bool
    """Whether it warns of images unlike those it learned from."""


class Service:
    """Everything that requests share."""

    def __init__(self, model: ServedModel, batcher: Batcher, settings: ServeSettings, metrics: Metrics) -> None:
        """Keep what requests share.

        Args:
            model: what is served.
            batcher: writes the reports.
            settings: limits.
            metrics: where answers are timed.
        """
        self.model = model
        self.batcher = batcher
        self.settings = settings
        self.metrics = metrics
        self.taken = 0
        self.makes_structured_reports = all(find_spec(name) for name in (STRUCTURED_REPORT, "highdicom"))
        # Two images at a time: each may need hundreds of megabytes while it is decoded.
        self._decoders = ThreadPoolExecutor(max_workers=2, thread_name_prefix="decoder")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request in, from its first byte to its answer.

        Raises:
            RefusedError: 503, as many requests as allowed are in.
        """
        if self.taken >= self.settings.queue:
            raise RefusedError(503, "the queue is full; come again", retry_after=self._retry_after())
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def read_views(self, files: Sequence[bytes], *, with_preview: bool = False) -> list[UploadedView]:
        """Decode a study's images.

        Raises:
            RefusedError: 422, one of them cannot be read.
        """
        loop = asyncio.get_running_loop()

        def read(number: int, content: bytes) -> UploadedView:
            return read_view(
                content,
                number,
                self.model.images,
                max_pixels=self.settings.max_pixels,
                with_preview=with_preview,
            )

        self.batcher.coming += 1
        try:
            return [
                await loop.run_in_executor(self._decoders, read, number, content)
                for number, content in enumerate(files, 1)
            ]
        except InputError as error:
            raise RefusedError(422, " ".join(str(error).split())) from None
        finally:
            self.batcher.coming -= 1

    async def write(self, views: Sequence[UploadedView], started: float) -> bytes:
        """Return the report about a study as JSON.

        Args:
            views: decoded.
            started: when the upload was whole, by the monotonic clock.

        Raises:
            RefusedError: 504, not written in time; 503, the model was lost over it.
        """
        job = Job(views=tuple(view.square for view in views), names=tuple(view.name for view in views))
        try:
            async with asyncio.timeout(self.settings.answer_seconds - (time.monotonic() - started)):
                answer = await self.batcher.write(job)
        except TimeoutError:
            raise RefusedError(504, f"no report within {self.settings.answer_seconds:g} seconds") from None
        except WorkerError:
            raise RefusedError(503, "the model was lost over this batch; send it again", retry_after=5) from None
        self.metrics.answer_seconds.observe(time.monotonic() - started)
        return answer

    def about(self) -> dict[str, Any]:
        """Return what GET /v1/model tells."""
        model, settings = self.model, self.settings
        return {
            "name": model.name,
            "model": model.fingerprint,
            "version": __version__,
            "notice": NOTICE,
            "findings": [{"name": name, "threshold": threshold} for name, threshold in model.thresholds.items()],
            "picture_size": model.images.size,
            "max_views": model.max_views,
            "max_words": model.search.max_words,
            "beams": model.search.beams,
            "choose": model.search.choose,
            "labels_from": settings.labels_from,
            "structured_reports": self.makes_structured_reports,
            "examples": model.examples is not None,
            "gate": model.has_gate,
            "limits": {
                "files": settings.max_files,
                "bytes": settings.max_upload_bytes,
                "pixels": settings.max_pixels,
                "seconds": settings.answer_seconds,
            },
        }

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Return what is true right now, for GET /metrics."""
        return {
            "queue_depth": ("Studies that wait for a worker.", float(self.batcher.depth)),
            "requests_in_flight": ("Requests between their first byte and their answer.", float(self.taken)),
            "workers_ready": ("Model processes that can take a batch.", float(self.batcher.ready)),
        }

    def close(self) -> None:
        """Let go of the decoders."""
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _retry_after(self) -> int:
        """Return the seconds in which the queue should have emptied."""
        batches = self.taken / (self.settings.batch * self.settings.workers)
        return max(1, math.ceil(batches * self.metrics.batch_seconds.mean))


def read_answer(answer: bytes) -> dict[str, Any]:
    """Return a report's JSON as values."""
    record: dict[str, Any] = json.loads(answer)
    return record
