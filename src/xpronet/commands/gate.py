"""`xpronet gate`: teach a trained model which pictures are unlike those it learnt from."""

from pathlib import Path

from rich.console import Console

MOST_PICTURES = 4096
"""Of a split; more change nothing but the waiting."""


def gate(run: Path, /, *, corpus: Path, quantile: float = 0.99) -> None:
    """Fit a run's gate on the train split; the validation split gives its threshold.

    Args:
        run: run or checkpoint folder; the gate goes into the best checkpoint.
        corpus: the corpus it was trained on.
        quantile: part of the validation pictures that is not warned of.
    """
    import numpy as np

    from xpronet.data.corpus import read_corpus
    from xpronet.data.images import read_grey
    from xpronet.data.transforms import test_view
    from xpronet.model.checkpoint import best_device, load_checkpoint
    from xpronet.model.gate import fit_gate, pooled_features, save_gate

    checkpoint = load_checkpoint(run)
    backbone = checkpoint.network.backbone.to(best_device()).eval()
    read = read_corpus(corpus)
    features = []
    for split in ("train", "val"):
        paths = [read.view_path(view) for study in read.split(split) for view in study.views[: checkpoint.max_views]]
        paths = paths[:: -(-len(paths) // MOST_PICTURES) or 1]
        parts = [
            pooled_features(
                backbone, [test_view(read_grey(path), checkpoint.images) for path in paths[start : start + 16]]
            )
            for start in range(0, len(paths), 16)
        ]
        features.append(np.concatenate(parts) if parts else np.zeros((0, backbone.settings.width_out), np.float32))
    fitted = fit_gate(features[0], features[1], quantile=quantile)
    folder = save_gate(run, fitted)
    Console(soft_wrap=True).print(
        f"{folder}: gate from {len(features[0])} pictures, threshold {fitted.threshold:.3f} "
        f"({quantile:g} quantile of {len(features[1])} validation pictures)",
        markup=False,
        highlight=False,
    )
