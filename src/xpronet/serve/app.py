"""The routes: reports, the model, the server's state, and the reading page."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.generation.report import Report
from xpronet.serve.counters import CONTENT_TYPE
from xpronet.serve.film_events import film_events
from xpronet.serve.guard import Guard
from xpronet.serve.openapi import (
    MentionAnswer,
    ModelAnswer,
    ReportAnswer,
    StatusAnswer,
    error_answers,
    file_answer,
    text_body,
    upload_body,
)
from xpronet.serve.refusal import RefusedError
from xpronet.serve.service import NOTICE, PrototypeExamples, Service, parse_answer
from xpronet.serve.stream import find_mentions, report_events
from xpronet.serve.uploaded_images import UploadedStudy
from xpronet.serve.uploads import Upload, read_text, read_upload

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def make_app(service: Service, *, overloaded: Callable[[], bool]) -> Guard:
    """Return the application, behind its guard.

    Args:
        service: what the routes share.
        overloaded: returns whether there are too many connections.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        find_mentions("")  # reads the labeler's rules now, not during the first request
        yield
        await service.batcher.close()
        service.close()

    app = FastAPI(
        title="XProNet",
        description=f"Draft reports about chest X-ray studies, with their evidence. {NOTICE}",
        version=__version__,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect has no JSON
        lifespan=lifespan,
    )
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(500, _failed)
    # For the description only: the guard has checked the token before a route is called.
    token = [Depends(HTTPBearer(scheme_name="token", auto_error=False))] if service.settings.token else []
    router = APIRouter(dependencies=token)
    _add_reports(router, service)
    _add_mentions(router)
    if service.makes_structured_reports:
        _add_structured_reports(router, service)
    _add_model(router, service)
    app.include_router(router)
    _add_health(app, service)
    page = _page_files()
    for path, response in page.items():
        app.add_api_route(path, _constant(*response), include_in_schema=False)
    routes = frozenset({*app.openapi()["paths"], *page, str(app.openapi_url)})
    return Guard(app, settings=service.settings, metrics=service.metrics, routes=routes, overloaded=overloaded)


def _add_reports(router: APIRouter, service: Service) -> None:
    @router.post("/v1/reports", response_model=ReportAnswer, responses=error_answers(), openapi_extra=upload_body())
    async def report(request: Request) -> Response:
        """Generate a draft report about one study: the JSON of `xpronet report --json`."""
        with service.admitted():
            upload = await _upload(request, service)
            started = time.monotonic()
            study = await service.decode(upload.files)
            return Response(await service.generate(study, started), media_type="application/json")

    @router.post(
        "/v1/reports/stream",
        responses=file_answer("text/event-stream", "The events, in order.") | error_answers(),
        response_class=Response,
        openapi_extra=upload_body(pixels=True),
    )
    async def stream(request: Request) -> Response:
        """Generate a draft report as server-sent events: `view`, `sentence`, then `report` with the evidence."""
        study, started, held = await _shown_study(request, service)
        events = report_events(service, study, started, full_depth=_wants_pixels(request))
        return StreamingResponse(_while_held(events, held), media_type="text/event-stream")

    @router.post(
        "/v1/films/stream",
        responses=file_answer("text/event-stream", "The events, in order.") | error_answers(),
        response_class=Response,
        openapi_extra=upload_body(pixels=True),
    )
    async def films(request: Request) -> Response:
        """Decode a study's images for display, without a report: `view` for each, then `end`."""
        study, _, held = await _shown_study(request, service)
        events = film_events(study, full_depth=_wants_pixels(request))
        return StreamingResponse(_while_held(events, held), media_type="text/event-stream")


def _wants_pixels(request: Request) -> bool:
    return request.query_params.get("pixels") == "full"


async def _shown_study(request: Request, service: Service) -> tuple[UploadedStudy, float, ExitStack]:
    """Return a study with previews, when its upload was complete, and what counts it until it is sent."""
    with ExitStack() as held:
        held.enter_context(service.admitted())
        upload = await _upload(request, service)
        started = time.monotonic()
        study = await service.decode(upload.files, with_preview=True)
        study = held.enter_context(service.holding(study))
        return study, started, held.pop_all()


async def _while_held(events: AsyncIterator[bytes], held: ExitStack) -> AsyncIterator[bytes]:
    with held:
        async for event in events:
            yield event


def _add_mentions(router: APIRouter) -> None:
    @router.post(
        "/v1/mentions",
        response_model=list[MentionAnswer],
        responses=error_answers(400, 401, 408, 413),
        openapi_extra=text_body(),
    )
    async def mentions(request: Request) -> Response:
        """Return the findings that a text mentions, as the rule labeler reads them; the text is not kept."""
        text = await read_text(request)
        return JSONResponse(await asyncio.to_thread(find_mentions, text))


def _add_structured_reports(router: APIRouter, service: Service) -> None:
    from xpronet.dicom_output.edited_text import EditedText
    from xpronet.dicom_output.structured_report import structured_report

    @router.post(
        "/v1/structured-reports",
        responses=file_answer("application/dicom", "The structured report: a DICOM file.") | error_answers(),
        response_class=Response,
        openapi_extra=upload_body(),
    )
    async def structured(request: Request) -> Response:
        """Generate a DICOM structured report, preliminary and unverified; a field `text` replaces the draft.

        Fields `person` and `organization` say who edited it.
        """
        with service.admitted():
            upload = await _upload(request, service)
            started = time.monotonic()
            study = await service.decode(upload.files)
            files = [upload.files[view.number - 1] for view in study.views]
            record = parse_answer(await service.generate(study, started))
            try:
                edited = (
                    None
                    if upload.text is None
                    else EditedText(text=upload.text, person=upload.person, organization=upload.organization)
                )
                content = await asyncio.to_thread(
                    structured_report,
                    Report.from_record(record),
                    files,
                    model=service.model.described,
                    images=service.model.images,
                    edited=edited,
                    anyway=service.settings.anyway,
                )
            except InputError as error:
                raise RefusedError(422, " ".join(str(error).split())) from None
        return Response(content, media_type="application/dicom")


def _add_model(router: APIRouter, service: Service) -> None:
    @router.get("/v1/model")
    async def model() -> ModelAnswer:
        """Describe the model, its findings and thresholds, and the limits of requests."""
        return service.describe()

    @router.get("/v1/prototypes", response_model=dict[str, Any], responses=error_answers(404))
    async def prototypes() -> Response:
        """Return the example regions and words of every prototype; /v1/prototypes/tiles is the image of the regions."""
        return Response(_examples(service).record, media_type="application/json")

    tiles_answer = file_answer("image/png", "The tiles.") | error_answers(404)

    @router.get("/v1/prototypes/tiles", responses=tiles_answer, response_class=Response)
    async def tiles() -> Response:
        """Return the image of all tiles: they show studies of the train corpus, under its licence."""
        return Response(_examples(service).sprite, media_type="image/png")

    metrics_answer = file_answer("text/plain", "Prometheus's text format.")

    @router.get("/metrics", responses=metrics_answer, response_class=Response)
    async def metrics() -> Response:
        """Return counts and durations in Prometheus's text format."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> StatusAnswer:
        """Answer that the server is running."""
        return StatusAnswer(status="ok")

    loading = {503: {"description": "The model is still loading.", "model": StatusAnswer}}

    @app.get("/readyz", response_model=StatusAnswer, responses=loading)  # type: ignore[arg-type]
    async def readyz() -> Response:
        """Answer whether a model is loaded."""
        if service.batcher.ready:
            return JSONResponse({"status": "ready"})
        detail = "the model is still loading; try again"
        return JSONResponse({"status": "loading", "detail": detail}, status_code=503, headers={"retry-after": "1"})


async def _upload(request: Request, service: Service) -> Upload:
    settings = service.settings
    return await read_upload(request, max_files=settings.max_files, max_bytes=settings.max_upload_bytes)


def _examples(service: Service) -> PrototypeExamples:
    if service.model.examples is None:
        raise RefusedError(404, "this run has no examples: make them with `xpronet show prototypes`")
    return service.model.examples


def _page_files() -> dict[str, tuple[bytes, str]]:
    """Return the page's files with their media types by path, read once: no path from a request reaches a disk."""
    page = {}
    for file in (files("xpronet.serve") / "static").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in MEDIA_TYPES:
            path = "/" if file.name == "index.html" else f"/static/{file.name}"
            page[path] = (file.read_bytes(), MEDIA_TYPES[suffix])
    return page


def _constant(content: bytes, media_type: str) -> Any:
    async def answer() -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return Response(error.body, error.status, error.headers, media_type="application/json")


async def _failed(request: Request, error: Exception) -> Response:
    """Answer a bug in JSON, too; its traceback is in the log."""
    return await _refused(request, RefusedError(500, "an internal error; the server's log has the traceback"))
