"""The graph of findings: which of them a corpus has, which of them are neighbours, and how often they come together.

Shape legend: M nodes, the global one and those of the findings behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from xpronet.errors import InputError
from xpronet.labels.findings import NO_FINDING
from xpronet.model.report_model import TrainStudies

GROUPS = (
    ("Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis"),
    ("Enlarged Cardiomediastinum", "Cardiomegaly"),
    ("Pneumothorax", "Pleural Effusion", "Pleural Other"),
)
"""Findings of one organ are neighbours; fractures and devices stand alone, and No Finding is next to all."""


def graph_nodes(studies: TrainStudies, wanted: Sequence[str]) -> list[str]:
    """Return the findings that are nodes: those wanted, or all that the train studies have if none are.

    Raises:
        InputError: a wanted one is no finding, or no train study has it; or no study has any.
    """
    counts = dict(zip(studies.names, studies.findings.sum(0).tolist(), strict=True))
    for name in wanted:
        if name not in counts:
            raise InputError(f"model.options.nodes: {name!r} is no finding; choose from {', '.join(studies.names)}")
        if not counts[name]:
            raise InputError(f"model.options.nodes: no train study has {name}; leave it out, or use another corpus")
    nodes = [name for name in studies.names if (name in wanted if wanted else counts[name])]
    if not nodes:
        raise InputError("model.options.nodes: no train study has any finding, so there is no graph of them")
    return nodes


def graph_record(studies: TrainStudies, nodes: Sequence[str]) -> dict[str, Any]:
    """Return the graph as JSON values: nodes, columns of the labels, train studies, and P(j | i), add-one smoothed."""
    columns = [studies.names.index(name) for name in nodes]
    present = studies.findings[:, columns].astype(np.int64)
    together, counts = present.T @ present, present.sum(0)
    given = (together + 1) / (counts[:, None] + 2)
    return {"nodes": [*nodes], "columns": columns, "studies": counts.tolist(), "given": given.round(6).tolist()}


def graph_summary(record: Mapping[str, Any]) -> list[str]:
    """Return the graph in two lines."""
    nodes, counts, given = record["nodes"], record["studies"], record["given"]
    pairs = sorted(
        (-given[i][j], nodes[j], nodes[i])
        for i in range(len(nodes))
        for j in range(len(nodes))
        if i != j and counts[i] >= 10
    )
    closest = ", ".join(f"P({second} | {first}) = {-value:.2f}" for value, second, first in pairs[:3])
    listed = ", ".join(f"{name} {count}" for name, count in zip(nodes, counts, strict=True))
    return [f"Graph of {len(nodes)} findings: {listed}", *([f"  closest: {closest}"] if closest else [])]


def adjacency(nodes: Sequence[str], normalise: str) -> Float[Tensor, "M M"]:
    """Return the normalised edges; the first node is the global one, from which an edge leads to all others.

    Args:
        nodes: names of the findings.
        normalise: "self-loops" adds an edge from each node to itself; "published" adds none, so that nodes without an
            outgoing edge send nothing and, as the factor is theirs, receive nothing.
    """
    edges = torch.zeros(1 + len(nodes), 1 + len(nodes))
    edges[0, 1:] = 1
    for i, first in enumerate(nodes, 1):
        for j, second in enumerate(nodes, 1):
            grouped = any(first in group and second in group for group in GROUPS)
            if i != j and (grouped or NO_FINDING in (first, second)):
                edges[i, j] = 1
    return _normalised(edges, normalise)


def backward_adjacency(nodes: Sequence[str], normalise: str) -> Float[Tensor, "M M"]:
    """Return the normalised edges in the opposite direction."""
    return _normalised((adjacency(nodes, "none") > 0).float().T, normalise)


def _normalised(edges: Float[Tensor, "M M"], normalise: str) -> Float[Tensor, "M M"]:
    if normalise == "none":
        return edges
    if normalise == "self-loops":
        edges = edges + torch.eye(len(edges))
    sums = edges.sum(1)
    factor = torch.where(sums > 0, sums.clamp(min=1).rsqrt(), 0.0)
    return factor.unsqueeze(1) * edges * factor.unsqueeze(0)
