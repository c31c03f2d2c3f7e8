"""The routes: reports, what is served, how it does, and the reading page."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.generation.report import Report
from xpronet.serve.guard import BodyLimits, Guard
from xpronet.serve.mentions import find_mentions
from xpronet.serve.openapi import TOKEN, Responses, answers, multipart, refusals, report_schema
from xpronet.serve.refusal import RefusedError
from xpronet.serve.service import NOTICE, STRUCTURED_REPORT, Examples, Service, read_answer
from xpronet.serve.stream import report_events
from xpronet.serve.uploads import Upload, read_upload

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def make_app(service: Service) -> Guard:
    """Return the application, behind its guard."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        find_mentions(())  # reads its phrases now, not while somebody waits
        yield
        await service.batcher.close()
        service.close()

    app = FastAPI(
        title="XProNet",
        description=f"Draft reports about chest X-ray studies, with their evidence. {NOTICE}",
        version=__version__,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_exception_handler(RefusedError, _refused)
    _add_reports(app, service)
    if service.makes_structured_reports:
        _add_structured_reports(app, service)
    _add_status(app, service)
    _add_page(app)
    settings = service.settings
    if settings.token:
        described = app.openapi()  # made once, and kept
        described.setdefault("components", {})["securitySchemes"] = {"token": TOKEN}
        described["security"] = [{"token": []}]
    routes = frozenset(path for route in app.routes if (path := getattr(route, "path", None)))
    return Guard(app, settings=settings, limits=BodyLimits(settings), metrics=service.metrics, routes=routes)


def _add_reports(app: FastAPI, service: Service) -> None:
    async def upload_of(request: Request) -> Upload:
        settings = service.settings
        return await read_upload(request, max_files=settings.max_files, max_bytes=settings.max_upload_bytes)

    draft = answers("application/json", "The draft with its evidence.", report_schema())

    @app.post("/v1/reports", openapi_extra=multipart(), responses=draft | refusals(), response_class=Response)
    async def report(request: Request) -> Response:
        """Write a draft report about one study: the JSON of `xpronet report --json`."""
        with service.admitted():
            upload = await upload_of(request)
            started = time.monotonic()
            views = await service.read_views(upload.files)
            return Response(await service.write(views, started), media_type="application/json")

    events = answers("text/event-stream", "The events, in their order.", {"type": "string"})

    @app.post("/v1/reports/stream", openapi_extra=multipart(), responses=events | refusals(), response_class=Response)
    async def stream(request: Request) -> Response:
        """Write a draft report as server-sent events: `view`, `sentence`, then `report` with the evidence."""
        admitted = service.admitted()
        admitted.__enter__()
        try:
            upload = await upload_of(request)
            started = time.monotonic()
            views = await service.read_views(upload.files, with_preview=True)
        except BaseException:
            admitted.__exit__(None, None, None)
            raise

        async def told() -> AsyncIterator[bytes]:
            try:
                async for event in report_events(service, views, started):
                    yield event
            finally:
                admitted.__exit__(None, None, None)

        return StreamingResponse(told(), media_type="text/event-stream")


def _add_structured_reports(app: FastAPI, service: Service) -> None:
    structured_report = import_module(STRUCTURED_REPORT).structured_report

    document = answers("application/dicom", "The structured report: a DICOM file.") | refusals()

    @app.post("/v1/structured-reports", openapi_extra=multipart(), responses=document, response_class=Response)
    async def structured(request: Request) -> Response:
        """Write a draft report as a DICOM structured report, partial and unverified; `text` takes the draft's place."""
        with service.admitted():
            settings = service.settings
            upload = await read_upload(request, max_files=settings.max_files, max_bytes=settings.max_upload_bytes)
            started = time.monotonic()
            views = await service.read_views(upload.files)
            report = Report.from_record(read_answer(await service.write(views, started)))
            if upload.text is not None:
                report = replace(report, text=upload.text)
            sources = [content for content, view in zip(upload.files, views, strict=True) if view.is_dicom]
            try:
                made = await asyncio.to_thread(
                    structured_report,
                    report,
                    sources,
                    model_name=service.model.name,
                    checkpoint_hash=service.model.fingerprint,
                )
            except InputError as error:
                raise RefusedError(422, " ".join(str(error).split())) from None
        return Response(made, media_type="application/dicom")


def _add_status(app: FastAPI, service: Service) -> None:
    @app.get("/v1/model")
    async def model() -> dict[str, Any]:
        """Tell which model is served, its findings and thresholds, and what is taken."""
        return service.about()

    none: Responses = {404: {"description": "The run has no examples."}}
    examples, sprite = (
        answers("application/json", "The examples.", {"type": "object"}),
        answers("image/png", "The tiles."),
    )

    @app.get("/v1/prototypes", responses=examples | none, response_class=Response)
    async def prototypes() -> Response:
        """Return the example regions and words of every prototype; tiles lie in /v1/prototypes/tiles."""
        return Response(_examples(service).record, media_type="application/json")

    @app.get("/v1/prototypes/tiles", responses=sprite | none, response_class=Response)
    async def tiles() -> Response:
        """Return the image of all tiles: they show studies of the train corpus, under its terms."""
        return Response(_examples(service).sprite, media_type="image/png")

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the server runs."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"description": "The model is still loading."}})
    async def readyz() -> Response:
        """Tell whether a model is ready to write."""
        if service.batcher.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "loading"}, status_code=503, headers={"retry-after": "1"})

    numbers = answers("text/plain", "Prometheus's text format.", {"type": "string"})

    @app.get("/metrics", responses=numbers, response_class=Response)
    async def metrics() -> Response:
        """Return counts and durations in Prometheus's text format."""
        return Response(service.metrics.text(service.gauges()), media_type="text/plain; version=0.0.4")


def _examples(service: Service) -> Examples:
    if service.model.examples is None:
        raise RefusedError(404, "this run has no examples: make them with `xpronet show prototypes`")
    return service.model.examples


def _add_page(app: FastAPI) -> None:
    """Read the page's files once: no path from a request ever reaches a disk."""
    for file in (files("xpronet.serve") / "static").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix not in KINDS:
            continue
        path = "/" if file.name == "index.html" else f"/static/{file.name}"
        app.add_api_route(path, _answer_with(file.read_bytes(), KINDS[suffix]), include_in_schema=False)


def _answer_with(content: bytes, kind: str) -> Any:
    async def answer() -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return JSONResponse({"detail": error.detail}, status_code=error.status, headers=error.headers)
