"""Generate reports for a split of a corpus, alone or sharing the work with other processes."""

import dataclasses
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from xpronet.data.corpus import each_study, read_corpus_header
from xpronet.data.dataset import Shard
from xpronet.errors import InputError, ProcessLostError
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import Provenance, provenance_path, write_provenance
from xpronet.generation.settings import GenerationSettings
from xpronet.generation.shards import PredictionShards
from xpronet.launch import Division, divide, num_cores
from xpronet.progress import Tracker, silent
from xpronet.training.distributed import DistributedContext

STUDIES_EACH = 32
"""Fewest studies that are worth the seconds in which a process starts and loads the model."""


@dataclass(frozen=True, kw_only=True)
class GenerationSummary:
    """What came of generating reports."""

    reports: int
    """Reports in the file, or, of one shard, those generated now."""
    generated: int
    """Reports generated now by all processes together; the others were there before."""
    seconds: float
    """Time that took."""
    missing: int
    """Reports that other shards have yet to generate; 0 where the file is complete."""

    @property
    def rate(self) -> float:
        """Reports per second."""
        return self.generated / max(self.seconds, 1e-9)


def generate(
    generator: ReportGenerator,
    *,
    run: Path,
    corpus: Path,
    out: Path,
    split: str = "test",
    settings: GenerationSettings,
    shard: Shard | None = None,
    context: DistributedContext,
    overwrite: bool = False,
    track: Tracker = silent,
) -> GenerationSummary:
    """Generate a report about every study of a split, in parts that outlive a kill.

    Args:
        generator: the model.
        run: the folder that it was loaded from.
        corpus: corpus folder.
        out: predictions.jsonl to write, one study a line; where they came from goes beside it, in
            predictions.run.json.
        split: train, val or test.
        settings: how the work is cut up.
        shard: the share of the work that this process does on its own; the parts are joined by a call without it.
        context: the processes that share the work and know each other.
        overwrite: replace the files if they are there.
        track: shows progress.

    Raises:
        InputError: the files are there already or cannot be written, or the studies cannot be used.
        ProcessLostError: another process of the same run has ended.
        KeyboardInterrupt: interrupted; the same call continues where it stopped.
    """
    if shard is not None and context.count > 1:
        raise InputError("--shard is for processes that torchrun has not started; leave it out")
    parts = PredictionShards(
        out,
        model=generator.fingerprint,
        corpus=read_corpus_header(corpus),
        split=split,
        generator=generator,
        part_size=settings.part_size,
    )
    if context.is_main:
        # Checked before the long work, not after it.
        if provenance_path(out).exists() and not overwrite:
            raise InputError(f"{provenance_path(out)}: already exists; choose another name or add --overwrite")
        parts.begin(overwrite=overwrite)
    started = time.monotonic()
    try:
        context.barrier()
        written = parts.write(shard or context.shard, settings, track=track if context.is_main else silent)
        (total,) = context.sum([float(written)])
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command continues where it stopped") from None
    except ProcessLostError as error:
        raise ProcessLostError(str(error) and f"{error}; the same command continues where it stopped") from error
    finally:
        if shard is None:
            parts.clear_if_empty()
    seconds = time.monotonic() - started
    if shard is not None or not context.is_main:
        missing = parts.num_missing() if shard is not None else 0
        return GenerationSummary(reports=written, generated=int(total), seconds=seconds, missing=missing)
    spent = parts.seconds
    count = parts.join(overwrite=overwrite)
    provenance = Provenance(
        run=run,
        model=generator.fingerprint,
        corpus=corpus,
        split=split,
        labels_from=generator.labels_from,
        beams=generator.settings.beams,
        choose=generator.settings.choose,
        evidence=generator.settings.evidence,
        precision=generator.precision,
        device=context.device.type,
        features=None if generator.features is None else generator.features.folder,
        studies=count,
        seconds=spent,
    )
    write_provenance(out, provenance, overwrite=overwrite)
    return GenerationSummary(reports=count, generated=int(total), seconds=seconds, missing=0)


def divide_split(corpus: Path, split: str, *, processes: int | None = None) -> Division:
    """Divide a split among processes of this machine, as many as there are cores where it is large enough.

    Raises:
        InputError: there is no corpus.
    """
    read_corpus_header(corpus)
    # No more than make a difference are counted.
    studies = islice(each_study(corpus, split), STUDIES_EACH * num_cores())
    return divide(sum(1 for _ in studies), each=STUDIES_EACH, processes=processes)


def generate_arguments(
    run: Path,
    *,
    corpus: Path,
    out: Path,
    split: str = "test",
    settings: GenerationSettings,
    features: Path | None = None,
    allow_code: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Return the command line by which another process takes its share in the same work."""
    options = {"corpus": corpus, "out": out, "split": split, "features": features, **dataclasses.asdict(settings)}
    flags = {"--allow-code": allow_code, "--overwrite": overwrite}
    return [
        *("generate", str(run)),
        *(f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None),
        *(flag for flag, given in flags.items() if given),
    ]
