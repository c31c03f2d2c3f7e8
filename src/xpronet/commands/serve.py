"""`xpronet serve`: a reading page and an HTTP interface to a trained model."""

from pathlib import Path
from typing import Literal


def serve(
    run: str,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    workers: int | None = None,
    batch_size: int = 16,
    queue: int = 64,
    answer_seconds: float = 90.0,
    upload_seconds: float = 30.0,
    max_files: int = 8,
    max_megabytes: int = 64,
    labels_from: Literal["predicted", "all"] = "predicted",
    beams: int | None = None,
    choose: Literal["likeliest", "agreeing"] | None = None,
    strict: bool = False,
    anyway: bool = False,
    allow_code: bool = False,
) -> None:
    """Serve a reading page and an HTTP interface until Ctrl-C.

    For example:

        xpronet serve run
        xpronet serve run --host 0.0.0.0 --token-file token.txt

    Args:
        run: run or checkpoint folder, hub:owner/name, or demo, the small model of drawn X-rays.
        host: address to listen on; other than loopback needs a token.
        port: TCP port; 0 takes a free one.
        token_file: file whose first line every client must know; or set XPRONET_TOKEN.
        workers: model processes; one a GPU, or one for every four cores, if left out.
        batch_size: studies a worker writes about at a time.
        queue: requests taken at a time; more are told to come again.
        answer_seconds: longest time to an answer.
        upload_seconds: longest time that an upload may take.
        max_files: views of one study.
        max_megabytes: size of one upload.
        labels_from: what decides which prototypes are visible: the model's own findings, or nothing, so that all are.
        beams: width of the search; by default as the run's recipe says, else 3.
        choose: which of the reports that the search meets to take; by default as the run's recipe says, else the
            likeliest.
        strict: refuse a study with a warning: images out of distribution for the model, or nearly black ones.
        anyway: take images whose headers name another body part than the chest, and films by a model that learned
            from drawings, with a warning.
        allow_code: let the checkpoint name Python objects of installed packages.
    """
    import os
    import sys

    from rich.console import Console

    from xpronet.errors import InputError
    from xpronet.files import read_text
    from xpronet.serve.settings import ServeSettings

    # A token on the command line could be read by everybody on the machine.
    token = os.environ.get("XPRONET_TOKEN", "") if token_file is None else read_text(token_file).partition("\n")[0]
    settings = ServeSettings(
        host=host,
        port=port,
        token=token.strip(),
        workers=_default_workers() if workers is None else workers,
        batch=batch_size,
        queue=queue,
        answer_seconds=answer_seconds,
        upload_seconds=upload_seconds,
        max_files=max_files,
        max_upload_bytes=max_megabytes << 20,
        labels_from=labels_from,
        strict=strict,
        anyway=anyway,
        allow_code=allow_code,
    )
    try:
        from xpronet.serve.server import configure_log
        from xpronet.serve.server import serve as listen
    except ModuleNotFoundError as error:
        raise InputError(f"serving needs {error.name} of the extra [serve]: pip install 'xpronet[serve]'") from None
    from xpronet.deploy.load import model_folder
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.serve.service import served_model

    folder = model_folder(run)
    checkpoint = load_checkpoint(folder, allow_code=allow_code)
    search = checkpoint.search.override(beams=beams, choose=choose)
    model = served_model(folder, checkpoint, search, labels_from=labels_from)
    if strict and checkpoint.gate is None:
        raise InputError(f"{run}: has no gate to be strict by; fit one with `xpronet gate`, or leave out --strict")
    del checkpoint  # the workers have the weights
    configure_log(sys.stderr)
    console = Console(soft_wrap=True)

    def ready(address: str) -> None:
        console.print(f"Reading page: {address}  (research use: drafts, never diagnoses; Ctrl-C ends)", markup=False)

    try:
        listen(folder, model, settings, ready=ready)
    except KeyboardInterrupt:
        console.print("Stopped.")
    except OSError as error:
        raise InputError(
            f"{host}:{port}: cannot listen there ({error.strerror}); choose another --host or --port"
        ) from None


def _default_workers() -> int:
    import os

    import torch

    from xpronet.device import best_device

    device = best_device()
    if device.type == "cuda" and device.index is None:
        return torch.cuda.device_count()
    return max(1, (os.cpu_count() or 1) // 4) if device.type == "cpu" else 1
