"""Measure prototype querying: dense shares and one product a head, beside gathered copies of the values.

    python benchmarks/prototypes.py [--small] [--device cpu|cuda] [--repeats N]

Forward and backward pass for the regions of a batch. Prints one JSON object.
"""

from collections.abc import Callable

import torch
from measuring import count_flops, machine, matrix_rate, paper_network, paper_studies, read_options, show, timed
from torch import Tensor

from xpronet.model.attention import split_heads
from xpronet.model.matching import PrototypeMatching


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__)
    device = options.device
    network = paper_network(device, depth=18).eval()
    studies = paper_studies(options.studies, device)
    queries = torch.randn(options.studies, 98, network.settings.width, device=device, requires_grad=True)
    visible = network.visible_rows(studies.findings)
    matching = network.matching
    ways = {
        "dense": once(matching, queries, visible, lambda: matching(queries, matching.project(), visible)),
        "gathered": once(matching, queries, visible, lambda: gathered(matching, queries, visible)),
    }
    difference = (matching(queries, matching.project(), visible) - gathered(matching, queries, visible)).abs().max()
    seconds = timed(ways, device=device, repeats=options.repeats)
    bound = count_flops(ways["dense"]) / matrix_rate(device, torch.float32)
    show(
        {
            "benchmark": "prototypes",
            "machine": machine(device),
            "sizes": {"studies": options.studies, "queries": 98, "prototypes": 280, "gamma": 15},
            "seconds": seconds,
            "bound_seconds": round(bound, 4),
            "largest_difference": difference.item(),
            "ratios": {
                "gathered to dense": round(seconds["gathered"]["median"] / seconds["dense"]["median"], 2),
                "dense to bound": round(seconds["dense"]["median"] / bound, 2),
            },
        }
    )


def once(
    matching: PrototypeMatching, queries: Tensor, visible: Tensor, respond: Callable[[], Tensor]
) -> Callable[[], None]:
    """Return a forward and backward pass."""

    def way() -> None:
        matching.zero_grad()
        queries.grad = None
        respond().square().mean().backward()

    return way


def gathered(matching: PrototypeMatching, queries: Tensor, visible: Tensor) -> Tensor:
    """Respond with a copy of the γ values for every head and query: batch x heads x regions x γ x width numbers."""
    bank = matching.project()
    scores = split_heads(matching.query(queries), matching.heads) @ bank.keys.transpose(-2, -1) * matching.scale
    best, chosen = scores.masked_fill(~visible[:, None, None], -1e9).topk(matching.gamma, dim=-1)
    values = bank.values.expand(len(queries), -1, -1, -1).unsqueeze(2).expand(-1, -1, queries.shape[1], -1, -1)
    copies = values.gather(3, chosen.unsqueeze(-1).expand(*chosen.shape, values.shape[-1]))
    mixed = (best.softmax(-1).unsqueeze(-2) @ copies).squeeze(-2)
    return matching.output(mixed.transpose(1, 2).flatten(2))


if __name__ == "__main__":
    main()
