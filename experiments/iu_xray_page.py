"""Write docs/results/iu_xray.md from the scorecards that experiments/iu_xray.sh left."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

STAGES = {"words": "cross-entropy (the paper)", "reward": "and reward, search by evidence"}
PROTOCOLS = ("published-iu", "full-text")
SCORES = ("BLEU-4", "ROUGE-L", "CIDEr", "METEOR", "macro-F1 of 13")
ABNORMAL = ("BLEU-4", "macro-F1 of 13")
HEAD = """# IU X-Ray on two CPU cores

Written by `python experiments/iu_xray_page.py OUT --out docs/results/iu_xray.md` from the scorecards of
`sh experiments/iu_xray.sh SOURCE NIH WEIGHTS OUT SEEDS`. Findings are predicted from the image; nothing was told from
the reference. Everything was chosen on the validation split, and the test split was scored once for each run.
"""

Card = dict[str, Any]


def read_cards(out: Path, stage: str, protocol: str) -> dict[str, Card]:
    """Return the scorecards of a stage by the name of their seed."""
    paths = sorted((out / stage).glob(f"seed-*/{protocol}.json"))
    return {path.parent.name.removeprefix("seed-"): json.loads(path.read_text()) for path in paths}


def page(out: Path) -> Iterator[str]:
    """Yield the lines of the page.

    Raises:
        SystemExit: there is no scorecard.
    """
    yield HEAD
    found = False
    for protocol in PROTOCOLS:
        stages = {stage: read_cards(out, stage, protocol) for stage in STAGES}
        stages = {stage: cards for stage, cards in stages.items() if cards}
        if stages:
            found = True
            yield from _protocol(protocol, stages)
    if not found:
        raise SystemExit(f"{out}: no scorecard of words/seed-* or reward/seed-*; run experiments/iu_xray.sh first")


def _protocol(protocol: str, stages: dict[str, dict[str, Card]]) -> Iterator[str]:
    first = next(iter(next(iter(stages.values())).values()))
    names = [name for name in SCORES if name in first["model"]["scores"]]
    abnormal = [name for name in ABNORMAL if name in first["model"]["abnormal"]]
    yield f"## Protocol {protocol}: {first['studies']} test studies, {first['abnormal_studies']} of them abnormal\n"
    columns = ["reports", "seeds", *names, *(f"{name}, abnormal" for name in abnormal), "distinct reports"]
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for stage, cards in stages.items():
        rows = [card["model"] for card in cards.values()]
        distinct = f"{mean(card['counts']['distinct reports'] for card in cards.values()):.0f}"
        yield _row(f"**{STAGES[stage]}**", ", ".join(cards), rows, names, abnormal, distinct)
    for baseline in first["baselines"]:
        yield _row(baseline["name"], "", [baseline], names, abnormal, "")
    yield ""
    if any(len(cards) > 1 for cards in stages.values()):
        yield "Means over the seeds, with the range of the runs; of baselines the value with its 95 % interval.\n"
    else:
        yield "One seed: values with their 95 % intervals over studies. No conclusion is drawn from one seed.\n"
    for stage, cards in stages.items():
        for seed, card in cards.items():
            for line in (*card["summary"], *card["warnings"]):
                yield f"* {STAGES[stage]}, seed {seed}: {line}"
    yield ""
    heads = [
        (f"{STAGES[stage]}, seed {seed}", card["head"])
        for stage, cards in stages.items()
        for seed, card in cards.items()
        if card.get("head")
    ]
    if heads:
        yield from _heads(heads)


def _heads(heads: Sequence[tuple[str, Card]]) -> Iterator[str]:
    yield "The findings head, without the text; the mean AUROC is of findings with ten studies or more of both kinds:\n"
    yield "| finding | studies | " + " | ".join(f"AUROC, F1: {name}" for name, _ in heads) + " |"
    yield f"|{' --- |' * (len(heads) + 2)}"
    for rows in zip(*(head["findings"] for _, head in heads), strict=True):
        cells = [_area_and_f1(row["auroc"], row["f1"] and row["f1"]["value"]) for row in rows]
        yield f"| {rows[0]['finding']} | {rows[0]['present']} | {' | '.join(cells)} |"
    means = [f"{_cell([head['auroc']])}, {_cell([head['macro_f1']])}" for _, head in heads]
    yield f"| **mean AUROC, macro-F1 of 13** | | {' | '.join(means)} |"
    yield ""


def _area_and_f1(area: float | None, f1: float | None) -> str:
    return ", ".join("–" if value is None else f"{value:.3f}" for value in (area, f1))


def _row(
    name: str, seeds: str, rows: Sequence[Card], names: Sequence[str], abnormal: Sequence[str], distinct: str
) -> str:
    cells = [_cell([row["scores"].get(score) for row in rows]) for score in names]
    cells += [_cell([row["abnormal"].get(score) for row in rows]) for score in abnormal]
    return f"| {' | '.join([name, seeds, *cells, distinct])} |"


def _cell(estimates: Sequence[dict[str, float] | None]) -> str:
    values = [estimate for estimate in estimates if estimate is not None]
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]['value']:.3f} ({values[0]['low']:.3f} to {values[0]['high']:.3f})"
    each = [estimate["value"] for estimate in values]
    return f"{mean(each):.3f} [{min(each):.3f}, {max(each):.3f}]"


def main() -> None:
    """Read the command line and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what experiments/iu_xray.sh was given as OUT")
    parser.add_argument("--out", type=Path, required=True, help="the page to write")
    arguments = parser.parse_args()
    arguments.out.write_text("\n".join(page(arguments.folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
