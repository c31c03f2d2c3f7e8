"""The scorecard of an encoder: what was measured, on which machine, in which time; as JSON and as Markdown."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from xpronet import __version__
from xpronet.files import read_json, write_json, write_text
from xpronet.pretrain.scores import FEWEST
from xpronet.pretrain.state import PretrainState
from xpronet.training.run_folder import read_journal

SCORECARD_FILE = "scorecard.json"
MARKDOWN_FILE = "scorecard.md"


def write_scorecard(
    run: Path,
    *,
    title: str,
    command: Sequence[str],
    state: PretrainState,
    notes: Mapping[str, Any],
    measured: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Write scorecard.json and scorecard.md into a run folder, in place of older ones, and return the record."""
    card = {
        "title": title,
        "command": list(command),
        "machine": machine(),
        "versions": {"xpronet": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "encoder": dict(notes),
        "training": {
            "steps": state.step,
            "seconds": round(state.seconds, 1),
            "best_epoch": state.best_epoch,
            "epochs": [
                {"epoch": event["epoch"], "loss": event["train"]["loss"], "auroc": event["val"]["auroc"]}
                | {"seconds": event["seconds"]}
                for event in read_journal(run, "epoch")
            ],
        },
        "measured": list(measured),
    }
    write_json(run / SCORECARD_FILE, card, overwrite=True)
    write_text(run / MARKDOWN_FILE, render(read_json(run / SCORECARD_FILE)), overwrite=True)
    return card


def machine() -> dict[str, Any]:
    """Return what a time is worth nothing without: CPU, threads, accelerator."""
    cpu = platform.machine()
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        names = [line.partition(":")[2].strip() for line in listed.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def render(card: Mapping[str, Any]) -> str:
    """Return a scorecard as Markdown."""
    measured, training, where = card["measured"], card["training"], card["machine"]
    lines = [f"# {card['title']}", "", "Written by:", "", f"    {' '.join(card['command'])}", ""]
    device = where["gpu"] or f"{where['threads']} of {where['cores']} cores, {where['cpu']}"
    lines += [
        f"Trained in {training['seconds'] / 60:.0f} minutes ({training['steps']:,} steps) on {device}; "
        f"xpronet {card['versions']['xpronet']}, torch {card['versions']['torch']}.",
        "",
        "AUROC (positive studies), F1:",
        "",
    ]
    lines += _table(
        ["finding", *(f"{one['name']}" for one in measured)],
        [
            [rows[0]["finding"], *(_cell(row) for row in rows)]
            for rows in zip(*(one["findings"] for one in measured), strict=True)
        ]
        + [
            ["studies, films", *(f"{one['studies']:,}, {one['films']:,}" for one in measured)],
            [f"**mean AUROC** ({FEWEST} positives or more)", *(_mean(one) for one in measured)],
            ["macro-F1", *(_number(one["macro_f1"]) for one in measured)],
            ["expected calibration error", *(_number(one["calibration_error"]) for one in measured)],
            ["mean probability, prevalence", *(_pair(one) for one in measured)],
        ],
    )
    lines += ["", "The mean and macro-F1 leave No Finding out; brackets hold the central 95 % over resampled studies."]
    lines += [
        "F1 and calibration are those of thresholds and Platt scaling fitted on the validation split; on that split"
    ]
    lines += ["each fifth is scored with what was fitted on the other four. Labels:", ""]
    lines += [f"* {one['name']}: {one['labels']}." for one in measured]
    lines += ["", "## Epochs", ""]
    lines += _table(
        ["epoch", "train loss", "validation AUROC", "minutes"],
        [
            [
                str(epoch["epoch"]) + (" (kept)" if epoch["epoch"] == training["best_epoch"] else ""),
                *(f"{epoch['loss']:.3f}", f"{epoch['auroc']:.3f}", f"{epoch['seconds'] / 60:.1f}"),
            ]
            for epoch in training["epochs"]
        ],
    )
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def _cell(row: Mapping[str, Any]) -> str:
    if row["auroc"] is None:
        return f"– ({row['positives']})" if row["positives"] + row["negatives"] else "unknown"
    return f"{row['auroc']:.3f} ({row['positives']}), {row['f1']:.2f}"


def _mean(one: Mapping[str, Any]) -> str:
    if one["mean_auroc"] is None:
        return "–"
    low, high = one["mean_auroc_interval"]
    return f"**{one['mean_auroc']:.3f}** [{low:.3f}, {high:.3f}]"


def _pair(one: Mapping[str, Any]) -> str:
    return f"{one['mean_probability']:.3f}, {one['prevalence']:.3f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
