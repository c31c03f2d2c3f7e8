"""Measure how many reports bf16 writes word for word as fp32 does.

    python benchmarks/precision.py RUN --corpus CORPUS [--split test] [--beams 5]

Prints one JSON object.
"""

import argparse
import time
from pathlib import Path

from measuring import machine, show

from xpronet.data.corpus import open_corpus
from xpronet.device import best_device
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.search_settings import BeamSettings


def main() -> None:
    """Write twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--studies", type=int, help="no more than so many")
    chosen = parser.parse_args()
    corpus, checkpoint, device = open_corpus(chosen.corpus), load_checkpoint(chosen.run), best_device()
    studies = corpus.split(chosen.split)[: chosen.studies]
    reports, seconds = {}, {}
    for precision in ("fp32", "bf16"):
        settings = BeamSettings(beams=chosen.beams, max_words=checkpoint.max_words)
        generator = ReportGenerator(checkpoint, device=device, settings=settings, precision=precision)
        started = time.perf_counter()
        reports[precision] = list(write_reports(generator, corpus, studies))
        seconds[precision] = round(time.perf_counter() - started, 2)
    pairs = list(zip(reports["fp32"], reports["bf16"], strict=True))
    present = [[finding.present for finding in report.findings] for both in pairs for report in both]
    show(
        {
            "benchmark": "precision",
            "machine": machine(device),
            "studies": len(studies),
            "seconds": seconds,
            "same_text": round(sum(one.text == other.text for one, other in pairs) / len(pairs), 4),
            "same_findings": round(
                sum(one == other for one, other in zip(present[::2], present[1::2], strict=True)) / len(pairs), 4
            ),
        }
    )


if __name__ == "__main__":
    main()
