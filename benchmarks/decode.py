"""Measure the writing of reports from given features: beam 3, 60 words of which none ends a report.

    python benchmarks/decode.py [--small] [--device cpu|cuda] [--repeats N]

The regions are encoded once, then the words are searched for. Beside it a plain search that reads every prefix again at
each word and gathers a copy of the values for each query, and a bound: for encoding its counted operations, for the
words' products with weights and for their attention the longer of arithmetic and reading memory, each at the machine's
measured rate. Prints one JSON object.
"""

import torch
from measuring import (
    Studies,
    count_flops,
    machine,
    matrix_rate,
    memory_rate,
    paper_network,
    paper_studies,
    precisions,
    read_options,
    show,
    timed,
)
from torch import Tensor

from xpronet.generation.beam import beam_search
from xpronet.model.attention import KeysValues, split_heads
from xpronet.model.decoding import Decoding
from xpronet.model.fast_cpu import fast_copy
from xpronet.model.network import Encoded, XProNet
from xpronet.model.search_settings import BeamSettings
from xpronet.precision import forward_precision

BEAMS, LENGTH = 3, 60
BEGIN, END, FORBIDDEN = 1, 2, (0, 1, 2)


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__)
    device = options.device
    network, studies = paper_network(device).eval(), paper_studies(options.studies, device)
    ways = {
        f"decode {precision}": lambda precision=precision: write(network, studies, precision)
        for precision in precisions(device)
    }
    seconds = timed(ways, device=device, repeats=options.repeats)
    reports: list = []
    plain = timed(
        {"plain fp32": lambda: reports.extend(write(network, studies, "fp32", plain=True))},
        device=device,
        repeats=1,
        warm_ups=0,
    )
    found = {**seconds, **plain}
    limit = bound(network, studies, device)
    median = found["decode fp32"]["median"]
    show(
        {
            "benchmark": "decode",
            "machine": machine(device),
            "sizes": {"studies": options.studies, "beams": BEAMS, "words": LENGTH},
            "seconds": found,
            "bound_seconds": limit,
            "reports_per_second": {name: round(options.studies / times["median"], 1) for name, times in found.items()},
            "ratios": {
                "plain to decode, fp32 (at least 20)": round(found["plain fp32"]["median"] / median, 1),
                "decode to bound, fp32 (at most 2)": round(median / limit["total"], 2),
            },
            "same_reports": [report.words for report in first(write(network, studies, "fp32"))]
            == [report.words for report in first(reports)],
        }
    )


def first(found: list) -> list:
    """Return each study's best report, whether a search returns one or several of each."""
    return [reports[0] if isinstance(reports, (list, tuple)) else reports for reports in found]


def write(network: XProNet, studies: Studies, precision: str, *, plain: bool = False) -> list:
    """Encode and write all reports."""
    settings = BeamSettings(beams=BEAMS, max_words=LENGTH)
    if not plain:
        network = fast_copy(network)
    with torch.inference_mode(), forward_precision(studies.words.device, precision):
        encoded = network.encode(studies.patches, studies.findings)
        state = (
            Plain(network, encoded)
            if plain
            else Decoding(network, encoded, num_beams=settings.beams, max_steps=settings.max_words)
        )
        return beam_search(
            state,
            num_studies=len(studies.words),
            begin=BEGIN,
            end=END,
            settings=settings,
            forbidden=FORBIDDEN,
            device=studies.words.device,
        )


class Plain:
    """Every beam a row of its own with its own copy of the regions; every step reads the whole prefix again."""

    def __init__(self, network: XProNet, encoded: Encoded) -> None:
        self.network = network
        self.visible = encoded.visible.repeat_interleave(BEAMS, 0)
        self.mask = encoded.region_mask.repeat_interleave(BEAMS, 0)
        self.regions = [KeysValues(*(part.repeat_interleave(BEAMS, 0) for part in layer)) for layer in encoded.regions]
        self.prefixes: Tensor | None = None

    def step(self, words: Tensor, origin: Tensor | None) -> Tensor:
        """Read all words so far."""
        if self.prefixes is None or origin is None:
            self.prefixes = words.unsqueeze(-1)
        else:
            kept = self.prefixes.gather(1, origin.unsqueeze(-1).expand_as(self.prefixes))
            self.prefixes = torch.cat([kept, words.unsqueeze(-1)], dim=-1)
        prefixes = self.prefixes.flatten(0, 1)
        placed = self.network.place(prefixes)
        fused = self.network.text_fusion(torch.cat([placed, self.respond(placed)], dim=-1))
        decoded = self.network.decoder(fused, self.network.word_mask(prefixes), self.regions, self.mask)
        logits = self.network.word_output(decoded.words[:, -1])
        return logits.float().log_softmax(-1).unflatten(0, words.shape)

    def respond(self, queries: Tensor) -> Tensor:
        """Query the prototypes, gathering the γ values of every head and query."""
        matching = self.network.matching
        bank = matching.projected()
        keys, values = (
            split_heads(matching.key(bank), matching.heads),
            split_heads(matching.value(bank), matching.heads),
        )
        scores = split_heads(matching.query(queries), matching.heads) @ keys.transpose(-2, -1) * matching.scale
        best, chosen = scores.masked_fill(~self.visible[:, None, None], -1e9).topk(matching.gamma, dim=-1)
        per_study = values.expand(len(queries), -1, -1, -1).unsqueeze(2)
        index = chosen.unsqueeze(-1).expand(*chosen.shape, values.shape[-1])
        gathered = per_study.expand(-1, -1, queries.shape[1], -1, -1).gather(3, index)
        mixed = (best.softmax(-1).unsqueeze(-2) @ gathered).squeeze(-2)
        return matching.output(mixed.transpose(1, 2).flatten(2))

    def keep(self, studies: Tensor) -> None:
        """No report ends here, so no study leaves."""
        raise AssertionError


def bound(network: XProNet, studies: Studies, device: torch.device) -> dict[str, float]:
    """Return the least seconds in fp32: encoding, and over all steps products with weights, and attention."""
    settings, rows, bytes_each = network.settings, len(studies.words) * BEAMS, 4
    width, regions = settings.width, studies.patches.features.shape[1]
    product_rate, read_rate = matrix_rate(device, torch.float32), memory_rate(device)
    with torch.no_grad():
        encode = count_flops(lambda: network.encode(studies.patches, studies.findings)) / product_rate
    # Keys and values of the regions were computed when they were encoded.
    skipped = sum(2 * (width * width + width) for _ in range(settings.layers))
    parts = [network.matching.query, network.matching.output, network.text_fusion, network.word_output]
    weights = sum(p.numel() for part in (network.decoder, *parts) for p in part.parameters()) - skipped
    products = LENGTH * max(2 * rows * weights / product_rate, bytes_each * weights / read_rate)
    attention = 0.0
    for length in range(1, LENGTH + 1):
        operations = 4 * rows * width * (settings.bank_rows + settings.layers * (regions + length))
        sources = settings.bank_rows + settings.layers * (len(studies.words) * regions + rows * length)
        attention += max(operations / product_rate, 2 * width * sources * bytes_each / read_rate)
    seconds = {"encode": encode, "weights": products, "attention": attention}
    return {name: round(taken, 4) for name, taken in {**seconds, "total": sum(seconds.values())}.items()}


if __name__ == "__main__":
    main()
