"""`xpronet generate`: reports for a split of a corpus."""

import time
from pathlib import Path
from typing import Literal

from rich.console import Console


def generate(
    run: Path,
    /,
    *,
    corpus: Path,
    out: Path,
    split: Literal["train", "val", "test"] = "test",
    labels_from: Literal["predicted", "reference", "all"] = "predicted",
    beams: int | None = None,
    choose: Literal["likeliest", "agreeing"] | None = None,
    batch: int = 32,
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    workers: int = 0,
    part_size: int = 1024,
    shard: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a report about every study of a split.

    A run that was stopped goes on where it was when the same command is given again. With torchrun, many processes
    share the work: torchrun --nproc-per-node 8 -m xpronet generate ...

    Args:
        run: run or checkpoint folder.
        corpus: corpus folder.
        out: predictions.jsonl to write, one study a line; where they came from goes beside it, in predictions.run.json.
        split: which studies.
        labels_from: what decides which prototypes are visible: the model's findings; the reference's (for
            reproduction only: the model is told what is in the report); or nothing, so that all are.
        beams: width of the search; by default as the run's recipe says, else 3.
        choose: take the likeliest report that the search meets, or of as many as there are beams the one that agrees
            best with the findings; by default as the run's recipe says, else the likeliest.
        batch: studies at a time.
        precision: arithmetic of the backbone.
        workers: processes that read images, for each that writes reports.
        part_size: studies in a part, which is written whole; bounds what is in memory and what a kill can lose.
        shard: do only a share of the work, such as 3/8, where eight jobs that know nothing of each other share it;
            the same command without --shard joins what they wrote.
        overwrite: replace the files if they are there.
    """
    from xpronet.commands.searching import search_settings
    from xpronet.data.corpus import open_corpus
    from xpronet.errors import InputError, ProcessLostError
    from xpronet.generation.generator import ReportGenerator
    from xpronet.generation.predictions import Provenance, provenance_path, write_provenance
    from xpronet.generation.shards import ArchiveSettings, PredictionShards, read_shard
    from xpronet.model.checkpoint import fingerprint, load_checkpoint
    from xpronet.progress import on_console, silent
    from xpronet.training.distributed import start_distributed

    settings = ArchiveSettings(batch=batch, part_size=part_size, workers=workers)
    with start_distributed() as processes:
        share = processes.part if shard is None else read_shard(shard)
        if shard is not None and processes.count > 1:
            raise InputError("--shard is for processes that torchrun has not started; leave it out")
        checkpoint = load_checkpoint(run)
        search = search_settings(run, checkpoint, beams=beams, choose=choose)
        writer = ReportGenerator(
            checkpoint, device=processes.device, settings=search, labels_from=labels_from, precision=precision
        )
        model = fingerprint(run)
        parts = PredictionShards(
            out,
            model=model,
            corpus=open_corpus(corpus),
            split=split,
            writer=writer,
            part_size=part_size,
        )
        if processes.is_main:
            # Told before the long work, not after it.
            if provenance_path(out).exists() and not overwrite:
                raise InputError(f"{provenance_path(out)}: already exists; choose another name or add --overwrite")
            parts.begin(overwrite=overwrite)
        started = time.monotonic()
        try:
            processes.wait()
            written = parts.write(share, settings, track=on_console if processes.is_main else silent)
            (total,) = processes.add([float(written)])
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; the same command goes on where it was") from None
        except ProcessLostError as error:
            raise ProcessLostError(str(error) and f"{error}; the same command goes on where it was") from error
        finally:
            if shard is None:
                parts.clear_if_empty()
        rate = f"{total / (time.monotonic() - started):.1f} a second"
        if not processes.is_main:
            return
        console = Console(soft_wrap=True)
        if shard is not None:
            missing = len(parts.missing())
            console.print(
                f"Wrote {written} reports, {rate}; parts still missing: {missing}. When all are there, the same "
                f"command without --shard joins them to {out}"
            )
            return
        seconds = parts.seconds
        count = parts.join(overwrite=overwrite)
        origin = Provenance(
            run=run,
            model=model,
            corpus=corpus,
            split=split,
            labels_from=labels_from,
            beams=search.beams,
            choose=search.choose,
            precision=precision,
            device=processes.device.type,
            studies=count,
            seconds=seconds,
        )
        write_provenance(out, origin, overwrite=overwrite)
        earlier = f", {count - int(total)} of them before" if total < count else ""
        console.print(f"Wrote {count} reports{earlier}, {rate}, to {out}")
