"""The captioners' weights under the names that ImageCaptioning.pytorch (self-critical.pytorch) gives them.

| here | there |
| --- | --- |
| `word_embedding`, `word_output` | `embed` or `embed.0`, `logit` |
| `pooled_embedding` | `img_embed` (ST), `fc_embed` or `fc_embed.0` |
| `region_embedding` | `att_embed.0` |
| ST: `cell.word_gates`, `state_gates` | `core.weight_ih_l0`, `core.weight_hh_l0` (maxout: `_core.i2h`, `_core.h2h`) |
| ADAATT: `cell.word_gates`, `image_gates`, `state_gates` | `core.lstm.w2h`, `v2h`, `h2h.0` |
| ADAATT: `cell.word_sentinel`, `image_sentinel`, `state_sentinel` | `core.lstm.r_w2h`, `r_v2h`, `r_h2h` |
| ADAATT: `cell.sentinel_row`, `sentinel_key` | `core.attention.fr_linear.0`, `fr_embed` |
| ADAATT: `cell.query_row`, `output` | `core.attention.ho_linear.0`, `att2h` |
| ATT2IN: `cell.word_gates`, `state_gates`, `context_candidates` | `core.i2h`, `core.h2h`, `core.a2c` |
| TopDown: `cell.feedback_gates`, `image_gates`, `word_gates` | columns of `core.att_lstm.weight_ih`, in this order |
| TopDown: `cell.context_gates`, `asked_gates` | columns of `core.lang_lstm.weight_ih`, in this order |
| TopDown: `cell.asking_gates`, `writing_gates` | `weight_hh`, `bias_hh` of the two |
| `cell.attention.key`, `score` | `ctx2att`, `core.attention.alpha_net` |
| `cell.attention.query` | `core.attention.h2att` (ADAATT: `ho_embed`) |

PyTorch's own LSTM orders its gates input, forget, candidate, output: the rows of those weights change places.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from xpronet.errors import InputError
from xpronet.rivals.captioner import Captioner

RENAMED = {
    "embed": "word_embedding",
    "embed.0": "word_embedding",
    "logit": "word_output",
    "img_embed": "pooled_embedding",
    "fc_embed": "pooled_embedding",
    "fc_embed.0": "pooled_embedding.0",
    "att_embed.0": "region_embedding.0",
    "ctx2att": "cell.attention.key",
    "_core.i2h": "cell.word_gates",
    "_core.h2h": "cell.state_gates",
    "core.i2h": "cell.word_gates",
    "core.h2h": "cell.state_gates",
    "core.a2c": "cell.context_candidates",
    "core.attention.h2att": "cell.attention.query",
    "core.attention.alpha_net": "cell.attention.score",
    "core.lstm.w2h": "cell.word_gates",
    "core.lstm.v2h": "cell.image_gates",
    "core.lstm.h2h.0": "cell.state_gates",
    "core.lstm.r_w2h": "cell.word_sentinel",
    "core.lstm.r_v2h": "cell.image_sentinel",
    "core.lstm.r_h2h": "cell.state_sentinel",
    "core.attention.fr_linear.0": "cell.sentinel_row",
    "core.attention.fr_embed": "cell.sentinel_key",
    "core.attention.ho_linear.0": "cell.query_row",
    "core.attention.ho_embed": "cell.attention.query",
    "core.attention.att2h": "cell.output",
}
"""Layers that are the same but for their name."""
SPLIT = {
    "core.weight_ih_l0": ("cell.word_gates.weight",),
    "core.weight_hh_l0": ("cell.state_gates.weight",),
    "core.att_lstm.weight_ih": ("cell.feedback_gates.weight", "cell.image_gates.weight", "cell.word_gates.weight"),
    "core.att_lstm.weight_hh": ("cell.asking_gates.weight",),
    "core.att_lstm.bias_ih": ("cell.feedback_gates.bias",),
    "core.att_lstm.bias_hh": ("cell.asking_gates.bias",),
    "core.lang_lstm.weight_ih": ("cell.context_gates.weight", "cell.asked_gates.weight"),
    "core.lang_lstm.weight_hh": ("cell.writing_gates.weight",),
    "core.lang_lstm.bias_ih": ("cell.context_gates.bias",),
    "core.lang_lstm.bias_hh": ("cell.writing_gates.bias",),
}
"""Tensors of PyTorch's LSTM, which joins the inputs of a gate: the parts of their columns."""


def load_public_weights(model: Captioner, state: Mapping[str, Tensor]) -> None:
    """Load the public implementation's weights into a captioner; its image encoder and findings head stay.

    Args:
        model: of the same kind and sizes; one word more than the public vocabulary, whose id 0 is BOS, EOS and padding.
        state: by the public names.

    Raises:
        InputError: a tensor is missing, unknown, or of another shape; the line names it.
    """
    own = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(("backbone.", "findings_head."))
    }
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        found |= _ours(model, name, tensor, own)
    wrong = [name for name in own if name not in found or found[name].shape != own[name].shape]
    wrong += [name for name in found if name not in own]
    if wrong:
        raise InputError(
            f"public weights: {len(wrong)} tensors do not fit {model.settings.name}, the first are "
            f"{', '.join(wrong[:3])}; give the options and sizes that they were trained with"
        )
    model.load_state_dict(found, strict=False)


def _ours(model: Captioner, name: str, tensor: Tensor, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a public tensor's parts by our names."""
    if name in SPLIT:
        parts = SPLIT[name]
        rows = _output_before_candidate(tensor)
        if tensor.dim() == 1:
            return {parts[0]: rows}
        widths = [own[part].shape[1] if part in own else 0 for part in parts]
        if sum(widths) != tensor.shape[1]:
            raise InputError(
                f"public weights: {name} has {tensor.shape[1]} columns; {model.settings.name} takes {sum(widths)}"
            )
        return dict(zip(parts, torch.split(rows, widths, dim=1), strict=True))
    layer, _, kind = name.rpartition(".")
    return {f"{RENAMED.get(layer, layer)}.{kind}": tensor}


def _output_before_candidate(gates: Tensor) -> Tensor:
    """Return rows in the order input, forget, output, candidate, from PyTorch's input, forget, candidate, output."""
    admit, retain, candidate, expose = gates.chunk(4)
    return torch.cat([admit, retain, expose, candidate])
