"""Measure a training step: the head alone, the whole network, and the backbone alone, in one run.

    python benchmarks/step.py [--small] [--device cpu|cuda] [--repeats N]

The head is everything behind the backbone; its step is forward pass, losses, backward pass and Adam. The bound of the
head step is its counted matrix products over the machine's measured speed of matrix products. The backbone alone is its
forward and backward pass. Prints one JSON object.
"""

from collections.abc import Callable

import torch
from measuring import (
    Studies,
    count_flops,
    machine,
    matrix_rate,
    paper_network,
    paper_studies,
    precisions,
    read_options,
    show,
    timed,
)

from xpronet.model.network import XProNet
from xpronet.model.report_model import Outputs, Patches
from xpronet.precision import forward_precision
from xpronet.training.losses import LossSettings, losses
from xpronet.training.optimiser import TrainSettings, clip_gradients, make_optimiser

Step = Callable[[], None]
STILL = {"learning_rate": 0.0, "backbone_learning_rate": 0.0}
"""Steps that move nothing cost what others cost, and the next repeat starts where this one did."""


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__)
    device = options.device
    studies = paper_studies(options.studies, device)
    types = {"fp32": torch.float32, "bf16": torch.bfloat16}
    rates = {precision: matrix_rate(device, types[precision]) for precision in precisions(device)}
    network = paper_network(device)
    head = {f"head {precision}": head_step(network, studies, precision) for precision in rates}
    flops = count_flops(head["head fp32"])
    seconds = timed(head, device=device, repeats=options.repeats)
    default = paper_network(device)
    network.backbone.to(memory_format=torch.channels_last)
    whole = {"full fp32, default layout": full_step(default, studies, "fp32")}
    for precision in rates:
        whole[f"backbone {precision}"] = backbone_step(network, studies, precision)
        whole[f"full {precision}"] = full_step(network, studies, precision)
    seconds |= timed(whole, device=device, repeats=1 if options.small else max(3, options.repeats // 2))
    bounds = {name: flops / rate for name, rate in rates.items()}
    medians = {name: times["median"] for name, times in seconds.items()}
    show(
        {
            "benchmark": "step",
            "machine": machine(device),
            "sizes": {"studies": options.studies, "views": 2, "side": 224, "words": 60},
            "head_operations": flops,
            "matrix_rate": {name: round(rate / 1e9, 1) for name, rate in rates.items()},
            "bound_seconds": {f"head {name}": round(bound, 4) for name, bound in bounds.items()},
            "seconds": seconds,
            "ratios": ratios(medians, bounds["fp32"]),
        }
    )


def ratios(medians: dict[str, float], bound: float) -> dict[str, float]:
    """Return what is to be reached, of what was measured."""
    parts = {
        "head to bound, fp32 (at most 1.4)": (medians["head fp32"], bound),
        "full to backbone, fp32 (at most 1.15)": (medians["full fp32"], medians["backbone fp32"]),
    }
    if "head bf16" in medians:
        parts |= {
            "head fp32 to bf16 (at least 2)": (medians["head fp32"], medians["head bf16"]),
            "full to backbone, bf16 (at most 1.15)": (medians["full bf16"], medians["backbone bf16"]),
            "full fp32 default to bf16 channels-last (at least 2)": (
                medians["full fp32, default layout"],
                medians["full bf16"],
            ),
        }
    return {name: round(one / other, 2) for name, (one, other) in parts.items()}


def head_step(network: XProNet, studies: Studies, precision: str) -> Step:
    """Return a step of the head from given features, whose gradient it computes as the backbone would need it."""
    settings = TrainSettings(precision=precision, freeze_backbone=True, **STILL)
    optimiser = make_optimiser(network, settings)
    network.backbone.requires_grad_(True)
    features = studies.patches.features.clone().requires_grad_()

    def step() -> None:
        features.grad = None
        with forward_precision(features.device, precision):
            outputs = network.read(Patches(features, studies.patches.mask), studies.words[:, :-1], studies.findings)
            learn(outputs, studies, optimiser, settings)

    return step


def full_step(network: XProNet, studies: Studies, precision: str) -> Step:
    """Return a step of the whole network from images."""
    settings = TrainSettings(precision=precision, **STILL)
    optimiser = make_optimiser(network, settings)

    def step() -> None:
        with forward_precision(studies.images.device, precision):
            outputs = network(studies.images, studies.view_mask, studies.words[:, :-1], studies.findings)
            learn(outputs, studies, optimiser, settings)

    return step


def learn(outputs: Outputs, studies: Studies, optimiser: torch.optim.Optimizer, settings: TrainSettings) -> None:
    """Do what follows the forward pass, as training does."""
    terms = losses(outputs, studies.words[:, 1:], studies.words[:, 1:] > 0, studies.findings, LossSettings())
    with torch.autocast(studies.words.device.type, enabled=False):
        optimiser.zero_grad()
        torch.autograd.backward(terms.total)
        clip_gradients((parameter for group in optimiser.param_groups for parameter in group["params"]), settings)
        optimiser.step()


def backbone_step(network: XProNet, studies: Studies, precision: str) -> Step:
    """Return forward and backward pass of the backbone alone."""

    def step() -> None:
        network.backbone.zero_grad()
        with forward_precision(studies.images.device, precision):
            features = network.encode_images(studies.images, studies.view_mask).features
        features.backward(torch.ones_like(features))

    return step


if __name__ == "__main__":
    main()
