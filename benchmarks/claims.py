"""Does the bound on false claims hold? Draw calibration and test halves of predictions at random, many times.

    python benchmarks/claims.py predictions.jsonl [--bound 0.05] [--splits 200]

The predictions are those of `xpronet generate` about studies that took no part in training or calibration.
"""

import argparse
from pathlib import Path

import numpy as np

from xpronet.evaluation.claim_scores import simulate_splits


def main() -> None:
    """Print how the bound fared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--bound", type=float, default=0.05)
    parser.add_argument("--splits", type=int, default=200)
    given = parser.parse_args()
    drawn = simulate_splits(given.predictions, given.bound, splits=given.splits)
    over = sum(one.false > given.bound + 2 * one.error for one in drawn)
    print(
        f"{len(drawn)} splits of {drawn[0].studies} test studies, bound {given.bound:g}: "
        f"{np.mean([one.false for one in drawn]):.4f} false on average, more than two standard errors above the bound "
        f"in {over}; {np.mean([one.shown for one in drawn]):.1%} of the claims vouched for"
    )


if __name__ == "__main__":
    main()
