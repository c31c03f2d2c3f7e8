"""What the routes share: the model's description, decoding of uploads, and reports in time."""

import asyncio
import json
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from xpronet import __version__
from xpronet.dicom_output.described_model import DescribedModel, describe_model
from xpronet.errors import InputError
from xpronet.evaluation.model_origin import read_model_origin
from xpronet.files import read_json
from xpronet.generation.report import Report
from xpronet.images.transforms import ImageSettings
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.checkpoint_files import fingerprint
from xpronet.model.search_settings import BeamSettings
from xpronet.serve.batcher import Batcher
from xpronet.serve.counters import Metrics
from xpronet.serve.openapi import LimitsAnswer, ModelAnswer, ModelFinding, OriginAnswer
from xpronet.serve.refusal import RefusedError
from xpronet.serve.settings import ServeSettings
from xpronet.serve.uploaded_images import UploadedStudy, decode_study
from xpronet.serve.worker import Job, WorkerError
from xpronet.show.examples import EXAMPLES_FILE, FORMAT, SPRITE_FILE

NOTICE = "Research use only. A draft, never a diagnosis."


@dataclass(frozen=True, kw_only=True)
class PrototypeExamples:
    """What `xpronet show prototypes` wrote into the run."""

    record: bytes
    """JSON."""
    sprite: bytes
    """PNG."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """What the server's own process knows of the model; the weights are in the workers."""

    name: str
    """The run folder's name."""
    fingerprint: str
    """First digits of the weights' SHA-256."""
    described: DescribedModel
    """What DICOM objects say about it."""
    images: ImageSettings
    max_views: int
    """Most views that a study had in training."""
    search: BeamSettings
    """How reports are searched for."""
    thresholds: dict[str, float]
    """By finding."""
    examples: PrototypeExamples | None
    """Regions and words that are nearest to each prototype, where the run has them."""
    only_drawings: bool
    """Whether it learned from drawings alone and knows films by their texture."""
    has_gate: bool
    """Whether out-of-distribution images are recognised."""


def served_model(
    run: Path, checkpoint: Checkpoint, search: BeamSettings, *, labels_from: Literal["predicted", "all"]
) -> ServedModel:
    """Describe a model for the server.

    Args:
        run: run or checkpoint folder.
        checkpoint: read from it, so that a damaged one is reported before the server listens.
        search: how reports are searched for.
        labels_from: what decides which prototypes are visible.

    Raises:
        InputError: the model has no findings head to predict findings with, or its file of examples is damaged.
    """
    if labels_from == "predicted" and checkpoint.network.findings_head is None:
        raise InputError(f"{run}: this model cannot predict findings (no findings head): choose --labels-from all")
    model = fingerprint(run)
    return ServedModel(
        name=run.resolve().name,
        fingerprint=model,
        described=describe_model(
            checkpoint,
            fingerprint=model,
            labels_from=labels_from,
            origin=read_model_origin(run, fingerprint=model),
            search=search,
        ),
        images=checkpoint.images,
        max_views=checkpoint.max_views,
        search=search,
        thresholds=dict(checkpoint.thresholds) if checkpoint.network.findings_head is not None else {},
        examples=_read_examples(run, model),
        only_drawings=checkpoint.texture is not None and bool(checkpoint.texture.of_drawings),
        has_gate=checkpoint.gate is not None,
    )


def _read_examples(run: Path, model: str) -> PrototypeExamples | None:
    """Return the examples of the run's prototypes, None where it has none or they are of another checkpoint."""
    path, sprite = run / EXAMPLES_FILE, run / SPRITE_FILE
    if not path.is_file() or not sprite.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: not a file of examples; make it again with `xpronet show prototypes --overwrite`")
    if record.get("model") != model:
        return None
    return PrototypeExamples(record=path.read_bytes(), sprite=sprite.read_bytes())


class Service:
    """Everything that requests share."""

    def __init__(self, model: ServedModel, batcher: Batcher, settings: ServeSettings, metrics: Metrics) -> None:
        """Keep what requests share.

        Args:
            model: what is served.
            batcher: computes the reports.
            settings: limits.
            metrics: where answers are timed.
        """
        self.model = model
        self.batcher = batcher
        self.settings = settings
        self.metrics = metrics
        self.in_flight = 0
        self.held_films = 0
        self.makes_structured_reports = find_spec("highdicom") is not None
        # Two studies at a time: an image may need hundreds of megabytes while it is decoded.
        self._decoders = ThreadPoolExecutor(max_workers=2, thread_name_prefix="decoder")
        metrics.add_gauge("queue_depth", "Studies that wait for a worker.", lambda: batcher.depth)
        metrics.add_gauge(
            "requests_in_flight", "Requests between their first byte and their answer.", lambda: self.in_flight
        )
        metrics.add_gauge("workers_ready", "Model processes that can take a batch.", lambda: batcher.ready)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request as in flight, from its first byte to its answer.

        Raises:
            RefusedError: 503, there are as many requests as allowed.
        """
        if self.in_flight >= self.settings.queue:
            raise RefusedError(503, "the queue is full; try again", retry_after=self._retry_after())
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @contextmanager
    def holding(self, study: UploadedStudy) -> Iterator[UploadedStudy]:
        """Count the memory of a study's films in full depth until they are sent.

        Yields:
            The study; without full depth where the films of all requests would take too much.
        """
        size = sum(view.held_bytes for view in study.views)
        if self.held_films + size > self.settings.max_held_bytes:
            size = 0
            study = replace(study, views=tuple(replace(view, values=None) for view in study.views))
        self.held_films += size
        try:
            yield study
        finally:
            self.held_films -= size

    async def decode(self, files: Sequence[bytes], *, with_preview: bool = False) -> UploadedStudy:
        """Decode a study's images.

        Raises:
            RefusedError: 422, one cannot be read, or they are not of one study.
        """

        def run() -> UploadedStudy:
            settings = self.settings
            return decode_study(
                files,
                self.model.images,
                max_pixels=settings.max_pixels,
                with_preview=with_preview,
                anyway=settings.anyway,
            )

        self.batcher.decoding += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._decoders, run)
        except InputError as error:
            raise RefusedError(422, " ".join(str(error).split())) from None
        finally:
            self.batcher.decoding -= 1

    async def generate(self, study: UploadedStudy, started: float) -> bytes:
        """Return the report about a study as JSON.

        Args:
            study: decoded.
            started: when the upload was complete, by the monotonic clock.

        Raises:
            RefusedError: 504, not in time; 503, the model failed on the batch; 422, a film was given to a model of
                drawings, or the server is strict and there is a warning.
        """
        job = Job(
            views=tuple(view.square for view in study.views),
            names=tuple(view.name for view in study.views),
            warnings=study.warnings,
        )
        try:
            async with asyncio.timeout(self.settings.answer_seconds - (time.monotonic() - started)):
                answer = await self.batcher.submit(job)
        except TimeoutError:
            raise RefusedError(504, f"no report within {self.settings.answer_seconds:g} seconds") from None
        except WorkerError:
            raise RefusedError(503, "the model failed on this batch; send it again", retry_after=5) from None
        self.metrics.answer_seconds.observe(time.monotonic() - started)
        judges = self.model.only_drawings and not self.settings.anyway
        if judges and (refusals := Report.from_record(parse_answer(answer)).refusals):
            raise RefusedError(422, "; ".join(refusals))
        if self.settings.strict and (warnings := parse_answer(answer).get("warnings")):
            raise RefusedError(422, f"{'; '.join(warnings)}; this server is strict and refuses such studies")
        return answer

    def describe(self) -> ModelAnswer:
        """Return what GET /v1/model answers."""
        model, settings = self.model, self.settings
        return ModelAnswer(
            name=model.name,
            model=model.fingerprint,
            version=__version__,
            notice=NOTICE,
            origin=OriginAnswer(**model.described.origin.record()),
            findings=[ModelFinding(name=name, threshold=threshold) for name, threshold in model.thresholds.items()],
            image_size=model.images.size,
            max_views=model.max_views,
            max_words=model.search.max_words,
            beams=model.search.beams,
            choose=model.search.choose,
            labels_from=settings.labels_from,
            structured_reports=self.makes_structured_reports,
            examples=model.examples is not None,
            gate=model.has_gate,
            limits=LimitsAnswer(
                files=settings.max_files,
                bytes=settings.max_upload_bytes,
                pixels=settings.max_pixels,
                seconds=settings.answer_seconds,
            ),
        )

    def close(self) -> None:
        """Release the decoders."""
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _retry_after(self) -> int:
        """Return the seconds in which the queue should have emptied."""
        batches = self.in_flight / (self.settings.batch * self.settings.workers)
        return max(1, math.ceil(batches * self.metrics.mean_batch_seconds))


def parse_answer(answer: bytes) -> dict[str, Any]:
    """Return a report's JSON as values."""
    record: dict[str, Any] = json.loads(answer)
    return record
