"""The HTTP server: uvicorn, with deadlines for slow clients and a log without patient data."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import IO

import torch
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from xpronet.serve.app import make_app
from xpronet.serve.batcher import Batcher, ReportWorker
from xpronet.serve.counters import Metrics
from xpronet.serve.refusal import RefusedError
from xpronet.serve.service import ServedModel, Service
from xpronet.serve.settings import ServeSettings
from xpronet.serve.worker import Worker, WorkerSettings

SPARE_SECONDS = 60.0
"""Time beyond upload and answer in which a client must have read its answer."""
MAX_CONNECTIONS = 512
CLOSING_SECONDS = 10
SILENCED = ("highdicom", "pydicom", "pylibjpeg", "openjpeg", "py.warnings")
"""Loggers that name identifiers and values of patients' images; the last has the warnings that are captured."""


def serve(run: Path, model: ServedModel, settings: ServeSettings, *, ready: Callable[[str], None]) -> None:
    """Serve a model until SIGINT or SIGTERM.

    Args:
        run: run or checkpoint folder.
        model: its description.
        settings: where to listen, and limits.
        ready: called with the page's address once the server listens; the model may still be loading.

    Raises:
        OSError: the address cannot be listened on.
    """
    threads = max(1, torch.get_num_threads() // settings.workers)  # OMP_NUM_THREADS, or all cores
    workers = [
        Worker(
            WorkerSettings(
                allow_code=settings.allow_code,
                run=run,
                model=model.fingerprint,
                labels_from=settings.labels_from,
                search=model.search,
                threads=threads,
                number=number,
                origin=model.described.origin.record(),
            )
        )
        for number in range(settings.workers)
    ]
    Listener(model, workers, settings, ready=ready).run()


def configure_log(stream: IO[str]) -> None:
    """Write the server's log to a stream, and nothing else.

    Other libraries' loggers get no handler: pydicom and highdicom log identifiers and values of patients' images. Where
    something gave the root logger a handler of its own, their lines would still reach it, so they end before it.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for name, level in (("xpronet", logging.INFO), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    # Without any handler, Python prints warnings of a logger to stderr.
    logging.getLogger().addHandler(logging.NullHandler())
    for name in SILENCED:
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    logging.captureWarnings(True)


class Listener(uvicorn.Server):
    """A socket and the application that answers on it."""

    def __init__(
        self,
        model: ServedModel,
        workers: Sequence[ReportWorker],
        settings: ServeSettings,
        *,
        ready: Callable[[str], None],
    ) -> None:
        """Bind the address; `run` starts the workers and answers.

        Args:
            model: what is served.
            workers: compute the reports.
            settings: where to listen, and limits.
            ready: called with the page's address once the server listens.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._listening = _listen(settings.host, settings.port)
        self._ready = ready
        metrics = Metrics()
        service = Service(model, Batcher(workers, settings, metrics), settings, metrics)
        config = uvicorn.Config(
            make_app(service, overloaded=lambda: len(self.server_state.connections) > MAX_CONNECTIONS),
            http=_protocol(settings.header_seconds, settings.upload_seconds + settings.answer_seconds + SPARE_SECONDS),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,  # the guard has its own, without paths and addresses
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until a signal or `should_exit`."""
        with self._listening:
            super().run([self._listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and report the address."""
        await super().startup(sockets)
        if self.started:
            host, port = self._listening.getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def _protocol(header_seconds: float, request_seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with deadlines, and with errors in JSON where no application is asked."""

    class Protocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._set_deadline(header_seconds)

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before:
                self._set_deadline(request_seconds)

        def on_response_complete(self) -> None:
            self._set_deadline(header_seconds)
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            self._refuse(RefusedError(400, "not a request of HTTP/1.1 (a Host header is required)"))

        def _set_deadline(self, seconds: float) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = self.loop.call_later(seconds, self._time_out)

        def _time_out(self) -> None:
            if self.transport.is_closing():
                return
            if self.cycle is None or self.cycle.response_complete:
                self._refuse(RefusedError(408, f"no request within {header_seconds:g} seconds"))
            else:
                self.transport.abort()

        def _refuse(self, refusal: RefusedError) -> None:
            if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
                self.transport.abort()  # a second status line would become part of the first answer
                return
            self.transport.write(_raw_answer(refusal))
            self.transport.close()

    return Protocol


def _raw_answer(refusal: RefusedError) -> bytes:
    headers = refusal.headers | {"content-type": "application/json", "content-length": str(len(refusal.body))}
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + refusal.body
