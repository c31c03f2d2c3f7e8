"""What every report model that comes with the package promises, whatever it computes.

Word by word as with teacher forcing, a distribution, from real views alone, whatever the order of regions. A new model
is in it by being in `BUILT_IN`; a variant is a line in `MODELS`.
"""

import pytest
import torch

from xpronet.model.fast_cpu import fast_copy
from xpronet.model.report_model import NextWord, Patches

BEAMS = 3


def step_by_step(model, patches, findings, sequences, check):
    """Feed words (studies, beams, length) while beams are shuffled and studies leave; check each step."""
    generator = torch.Generator().manual_seed(3)
    left = torch.arange(len(sequences))
    history = sequences[:, :, :0]
    leaving = {3: torch.tensor([0, 2, 3]), 6: torch.tensor([0, 2])}
    decoding = model.start_decoding(model.encode(patches, findings), num_beams=BEAMS, max_words=sequences.shape[2])
    assert isinstance(decoding, NextWord)
    origin = None
    for place in range(sequences.shape[2]):
        newest = sequences[left, :, place]
        if origin is not None:
            history = history.gather(1, origin.unsqueeze(-1).expand(-1, -1, history.shape[2]))
        history = torch.cat([history, newest.unsqueeze(-1)], dim=-1)
        check(decoding.step(newest, origin), history, left)
        origin = torch.randint(0, BEAMS, (len(left), BEAMS), generator=generator)
        if place in leaving:
            kept = leaving[place]
            decoding.keep(kept)
            left, history, origin = left[kept], history[kept], origin[kept]


@pytest.mark.parametrize("fast", [False, True])
def test_every_prefix_equals_teacher_forcing_while_beams_move_and_studies_leave(
    rival, patches, findings, reports, fast
):
    model = fast_copy(rival[0]) if fast else rival[0]
    words = reports[:, :24]
    # Real reports in one beam, any words at all in the others: also such as can never follow each other.
    drawn = torch.randint(1, model.num_words, (4, BEAMS, words.shape[1]), generator=torch.Generator().manual_seed(4))
    sequences = torch.where(
        torch.rand(drawn.shape, generator=torch.Generator().manual_seed(5)) < 0.7, words[:, None], drawn
    )
    sequences[:, 0] = words
    sequences[:, :, 0] = words[:, :1]

    def check(stepped, history, left):
        for beam in range(BEAMS):
            own = Patches(patches.features[left], patches.mask[left])
            whole = model.read(own, history[:, beam], findings[left]).logits.log_softmax(-1)
            torch.testing.assert_close(stepped[:, beam], whole[:, -1], rtol=1e-6, atol=1e-5)

    with torch.inference_mode():
        step_by_step(model, patches, findings, sequences, check)


def test_probabilities_of_the_next_word_sum_to_1(rival, patches, findings, reports):
    model, _ = rival
    with torch.inference_mode():
        logits = model.read(patches, reports, findings).logits
        sums = logits.log_softmax(-1).exp().sum(-1)
        decoding = model.start_decoding(model.encode(patches, findings), num_beams=1, max_words=2)
        first = decoding.step(reports[:, :1], None).exp().sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    torch.testing.assert_close(first, torch.ones_like(first))


def test_flat_models_return_probabilities_as_they_are(hierarchical, pad, patches, findings):
    model, _ = hierarchical
    with torch.inference_mode():
        logits = model.read(patches, pad(hierarchical), findings).logits
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(logits.shape[:2]), rtol=0, atol=1e-5)


def test_a_masked_view_is_an_absent_view(rival, patches, findings, reports):
    model, _ = rival
    with torch.inference_mode():
        logits = model.read(patches, reports, findings).logits
        filled = patches.features.masked_fill(~patches.mask.unsqueeze(-1), 3.0)
        torch.testing.assert_close(model.read(patches._replace(features=filled), reports, findings).logits, logits)
        alone = Patches(patches.features[1:2, :4], patches.mask[1:2, :4])
        one = model.read(alone, reports[1:2], findings[1:2])
    torch.testing.assert_close(one.logits, logits[1:2], rtol=1e-5, atol=1e-4)


def test_the_order_of_regions_says_nothing_and_the_images_say_something(rival, patches, findings, reports):
    model, _ = rival
    order = torch.tensor([3, 1, 0, 2, 4, 5, 6, 7])
    with torch.inference_mode():
        logits = model.read(patches, reports, findings).logits
        moved = model.read(Patches(patches.features[:, order], patches.mask), reports, findings).logits
        swapped = model.read(Patches(patches.features.flip(0), patches.mask.flip(0)), reports, findings).logits
        untold = model.read(patches, reports, ~findings).logits
    torch.testing.assert_close(moved, logits, rtol=1e-5, atol=1e-4)
    assert (swapped - logits).abs().max() > 1e-3
    torch.testing.assert_close(untold, logits)


def test_rereading_gives_the_same_probabilities_and_attention_on_real_views(rival, patches, findings, reports):
    model, _ = rival
    with torch.inference_mode():
        reading = model.reread(model.encode(patches, findings), reports)
        logits = model.read(patches, reports[:, :-1], findings).logits.log_softmax(-1)
    expected = logits.gather(-1, reports[:, 1:, None]).squeeze(-1)
    torch.testing.assert_close(reading.log_probabilities, expected, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(reading.attention.sum(-1), torch.ones(4, reports.shape[1] - 1))
    assert not reading.attention[1, :, 4:].any()
    assert (reading.attention >= 0).all()
    assert reading.shares is None
    if model.settings.name == "adaatt":
        assert ((reading.language > 0) & (reading.language < 1)).all()
    else:
        assert reading.language is None


def test_regions_and_their_projections_exist_once_for_all_beams(rival, patches, findings):
    model, _ = rival
    with torch.inference_mode():
        decoding = model.start_decoding(model.encode(patches, findings), num_beams=7, max_words=5)
        decoding.step(torch.ones(4, 7, dtype=torch.long), None)
    [encoded] = [value for name, value in vars(decoding).items() if name == "_encoded"]
    tensors = [each for each in torch.utils._pytree.tree_leaves(encoded) if isinstance(each, torch.Tensor)]
    assert len(tensors) > 1
    assert all(7 not in tensor.shape[:2] for tensor in tensors)


def test_half_precision_trains_it_too(rival, patches, findings, reports):
    model, _ = rival
    exact = model.read(patches, reports, findings).logits.log_softmax(-1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model.read(patches, reports, findings)
    rough = outputs.logits.float().log_softmax(-1)
    torch.testing.assert_close(rough.exp(), exact.exp(), rtol=0, atol=0.05)
    chosen = rough[:, :-1].gather(-1, reports[:, 1:, None]).squeeze(-1)
    loss = -chosen[reports[:, 1:] != model.padding].mean() + sum(outputs.extra_losses.values())
    loss.backward()
    assert all(each.grad.isfinite().all() for each in model.parameters() if each.grad is not None)
    model.zero_grad()
