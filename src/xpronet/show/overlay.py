"""What a page needs to lay the evidence of each word over the images: data URIs, and the evidence as small JSON."""

import base64
import io
import math
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from xpronet.generation.report import Report, WordEvidence

PARTS = 100_000
"""Attention and shares travel as whole numbers of this part: shorter than decimals, and exact to 0.001 %."""


def picture_uri(view: UInt8[np.ndarray, "height width"]) -> str:
    """Return a grey image as the data URI of a PNG file: lossless, and no file beside the page."""
    stream = io.BytesIO()
    Image.fromarray(view).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def evidence_record(report: Report, num_views: int) -> dict[str, Any]:
    """Return the evidence of a report's words as JSON values.

    The values: `parts`, what 1 is written as; `columns` of the attention grids; `findings`, the names that
    prototypes refer to; `words`, each with its probability `p`, its `attention` (one flat list a view, row by row) and
    its `prototypes` (place in `findings`, number, share); `regions`, by a finding's name the share of each region in
    what speaks for it, of findings that anything speaks for.

    Args:
        report: with at least one word of evidence.
        num_views: images shown; views that only filled the batch up come after them and are left out.
    """
    assert report.words, "a report without evidence has nothing to lay over its images"
    names = sorted({use.finding for word in report.words for use in word.prototypes})
    return {
        "parts": PARTS,
        "columns": report.words[0].attention.shape[2],
        "findings": names,
        "words": [_word(word, names, num_views) for word in report.words],
        "regions": {
            finding.name: grids
            for finding in report.findings
            if finding.regions is not None and (grids := _speaking_for(finding.regions[:num_views]))
        },
    }


def _speaking_for(regions: Float[np.ndarray, "views rows columns"]) -> list[list[int]]:
    """Return each region's share in all that is added to a finding's logit; nothing where nothing is."""
    added = np.maximum(regions.astype(np.float64), 0)
    if not added.any():
        return []
    grids: list[list[int]] = np.rint(added / added.sum() * PARTS).astype(int).reshape(len(added), -1).tolist()
    return grids


def _word(word: WordEvidence, names: list[str], num_views: int) -> dict[str, Any]:
    assert word.attention.shape[0] >= num_views, "every image shown was attended to"
    grids = np.rint(word.attention[:num_views].astype(np.float64) * PARTS).astype(int)
    return {
        "p": round(math.exp(word.log_probability), 4),
        "attention": grids.reshape(num_views, -1).tolist(),
        "prototypes": [[names.index(use.finding), use.index, round(use.weight * PARTS)] for use in word.prototypes],
    }
