import pytest
import torch

from xpronet.errors import InputError
from xpronet.model.report_model import Patches, leave_views_out
from xpronet.model.transformer import sinusoids

WORDS = torch.tensor([[1, 5, 6, 7], [1, 8, 0, 0], [1, 9, 4, 0]])


def studies() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images of three studies of two, one and two views, and their findings: some, none, all."""
    generator = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (3, 2, 64, 64), generator=generator, dtype=torch.uint8)
    view_mask = torch.tensor([[True, True], [True, False], [True, True]])
    findings = torch.tensor([[True, False, True, False], [False] * 4, [True] * 4])
    return images, view_mask, findings


def run(network, images, view_mask, words, findings):
    with torch.no_grad():
        return network(images, view_mask, words, findings)


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"visible": "all", "bank_rows": 7},
        {"visible": "none"},
        {"fusion": "add"},
        {"project_bank": False, "bank_width": 16},
        {"norm": "published", "findings_head": False},
        {"findings_pool": "mean"},
        {"gamma": 1000},
    ],
    ids=str,
)
def test_every_choice_gives_whole_outputs_and_gradients(make_network, choices):
    network = make_network(**choices)
    images, view_mask, findings = studies()
    outputs = network(images, view_mask, WORDS, findings)
    assert outputs.logits.shape == (3, 4, 11)
    assert outputs.region_mask.shape == (3, 8)
    assert (outputs.image_responses is None) is (choices.get("visible") == "none")
    assert (outputs.finding_logits is None) is ("findings_head" in choices)
    loss = sum(
        tensor.square().mean() for tensor in outputs if isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
    )
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_absent_views_change_nothing(make_network):
    network = make_network()
    images, view_mask, findings = studies()
    plain = run(network, images, view_mask, WORDS, findings)
    noisy = images.clone()
    noisy[1, 1] = 255
    other = run(network, noisy, view_mask, WORDS, findings)
    for name in ("logits", "image_responses", "text_responses", "finding_logits"):
        assert getattr(other, name).equal(getattr(plain, name)), name
    alone = run(network, images[1:2, :1], view_mask[1:2, :1], WORDS[1:2], findings[1:2])
    torch.testing.assert_close(alone.logits[0], plain.logits[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.finding_logits[0], plain.finding_logits[1], rtol=0, atol=1e-5)


def test_second_view_counts(make_network):
    network = make_network()
    images, view_mask, findings = studies()
    both = run(network, images, view_mask, WORDS, findings)
    view_mask[0, 1] = False
    first = run(network, images, view_mask, WORDS, findings)
    assert not torch.allclose(both.logits[0], first.logits[0], atol=1e-4)
    torch.testing.assert_close(both.logits[1:], first.logits[1:], rtol=0, atol=1e-5)


def test_order_of_the_batch_does_not_matter(make_network):
    network = make_network()
    images, view_mask, findings = studies()
    order = torch.tensor([2, 0, 1])
    plain = run(network, images, view_mask, WORDS, findings)
    other = run(network, images[order], view_mask[order], WORDS[order], findings[order])
    torch.testing.assert_close(other.logits, plain.logits[order], rtol=0, atol=1e-5)
    torch.testing.assert_close(other.finding_logits, plain.finding_logits[order], rtol=0, atol=1e-5)


def test_words_see_no_later_word(make_network):
    network = make_network()
    images, view_mask, findings = studies()
    plain = run(network, images, view_mask, WORDS, findings)
    changed = WORDS.clone()
    changed[:, 2:] = 10
    other = run(network, images, view_mask, changed, findings)
    torch.testing.assert_close(other.logits[:, :2], plain.logits[:, :2], rtol=0, atol=1e-6)


def test_findings_decide_which_prototypes_are_seen(make_network):
    network = make_network()
    findings = torch.tensor([[True, False, False, True], [False] * 4])
    expected = torch.zeros(2, 12, dtype=torch.bool)
    expected[0, [0, 1, 2, 9, 10, 11]] = True
    assert network.visible_rows(findings).equal(expected)
    assert make_network(visible="all", bank_rows=5).visible_rows(findings).equal(torch.ones(2, 5, dtype=torch.bool))


def test_hidden_prototypes_have_no_influence(make_network):
    network = make_network()
    images, view_mask, findings = studies()
    plain = run(network, images, view_mask, WORDS, findings)
    with torch.no_grad():
        network.matching.bank[3:6] += 10.0  # of the second finding, which only the third study has
    other = run(network, images, view_mask, WORDS, findings)
    torch.testing.assert_close(other.logits[:2], plain.logits[:2], rtol=0, atol=1e-5)
    assert not torch.allclose(other.logits[2], plain.logits[2], atol=1e-3)


def test_look_lays_views_and_rows_one_after_the_other(make_network):
    network = make_network()
    images, view_mask, _ = studies()
    with torch.no_grad():
        patches = network.encode_images(images, view_mask)
        alone = network.encode_images(images[2:, 1:], view_mask[2:, 1:])
    assert patches.features.shape == (3, 8, 16)
    torch.testing.assert_close(patches.features[2, 4:], alone.features[0], rtol=0, atol=1e-5)
    assert patches.mask.tolist() == [[True] * 8, [True] * 4 + [False] * 4, [True] * 8]


def test_findings_head_pools_real_regions_only(make_network):
    network = make_network()
    features = -1 - torch.rand(1, 8, 16)  # negative, so that a zero from somewhere would show
    mask = torch.tensor([[True] * 4 + [False] * 4])
    expected = network.findings_head.linear(torch.cat([features[0, :4].mean(0), features[0, :4].amax(0)]))
    with torch.no_grad():
        probabilities = network.predict_findings(Patches(features, mask))
    torch.testing.assert_close(probabilities[0], expected.sigmoid())


def test_the_head_sees_each_view_by_itself(make_network):
    network = make_network()
    images, view_mask, _ = studies()
    with torch.no_grad():
        patches = network.encode_images(images, view_mask)
        by_view = network.findings_head.by_view(patches, view_mask)
        assert by_view.shape == (3, 2, 4)
        for study, view in view_mask.nonzero().tolist():
            alone = Patches(patches.features[study, 4 * view :][None, :4], torch.ones(1, 4, dtype=torch.bool))
            torch.testing.assert_close(by_view[study, view], network.findings_head(alone)[0])


def test_views_are_left_out_of_the_report_and_of_nothing_else(make_network):
    network = make_network(view_dropout=0.999, dropout=0.0, patch_dropout=0.0)
    images, view_mask, findings = studies()
    network.train()
    network.backbone.eval()
    outputs = network(images, view_mask, WORDS, findings)
    assert outputs.region_mask.sum(1).tolist() == [4, 4, 4]
    everything = run(network.eval(), images, view_mask, WORDS, findings)
    assert everything.region_mask.sum(1).tolist() == [8, 4, 8]
    assert everything.view_finding_logits is None
    torch.testing.assert_close(outputs.finding_logits, everything.finding_logits)
    shown = run(network, images, outputs.region_mask[:, ::4], WORDS, findings)
    torch.testing.assert_close(outputs.logits, shown.logits)
    assert not torch.allclose(outputs.logits, everything.logits, atol=1e-4)


def test_how_many_views_stay_is_drawn_evenly():
    torch.manual_seed(1)
    view_mask = torch.tensor([[True, True, True], [True, False, True], [False, True, False]]).repeat(2000, 1)
    shown = leave_views_out(view_mask, 0.5).view(2000, 3, 3)
    assert not (shown & ~view_mask.view(2000, 3, 3)).any()
    three, two, one = shown.sum(2).T
    for number, share in ((3, 0.5), (2, 0.25), (1, 0.25)):
        assert three.eq(number).double().mean().item() == pytest.approx(share, abs=0.04)
    assert two.eq(1).double().mean().item() == pytest.approx(0.5, abs=0.04)
    assert shown[:, 1][two == 1].double().mean(0).tolist() == pytest.approx([0.5, 0, 0.5], abs=0.05)
    assert one.eq(1).all()


def test_nothing_is_drawn_where_no_view_is_left_out():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    view_mask = torch.ones(3, 2, dtype=torch.bool)
    assert leave_views_out(view_mask, 0.0) is view_mask
    assert torch.random.get_rng_state().equal(before)


def test_no_head_no_prediction(make_network):
    network = make_network(findings_head=False)
    with pytest.raises(InputError, match="no findings head"):
        network.predict_findings(Patches(torch.zeros(1, 8, 16), torch.ones(1, 8, dtype=torch.bool)))


def test_bank_must_fit_the_findings(make_network):
    with pytest.raises(InputError, match=r"model\.bank_rows = 12: must be 5 findings x 3 prototypes"):
        make_network(num_findings=5)


def test_padding_is_hidden_and_the_begin_mark_never(make_network):
    network = make_network()
    mask = network.word_mask(torch.tensor([[1, 5, 0, 0], [0, 5, 6, 0]]))
    assert mask[0].tolist() == [[True, False, False, False]] + [[True, True, False, False]] * 3
    # Published ids write the BOS like padding.
    assert mask[1, 3].tolist() == [True, True, True, False]


def test_newest_words_stand_where_they_are_told(make_network):
    network = make_network()
    images, view_mask, findings = studies()
    with torch.no_grad():
        encoded = network.encode(network.encode_images(images, view_mask), findings)
        whole, responses = network.embed(WORDS, encoded)
        newest, response = network.embed(WORDS[:, 2:3].expand(3, 5), encoded, torch.tensor([2]))
    torch.testing.assert_close(newest, whole[:, 2:3].expand(3, 5, 16))
    torch.testing.assert_close(response, responses[:, 2:3].expand(3, 5, 16))


def test_text_queries_with_embedding_and_position(make_network):
    network = make_network(fusion="add")
    images, view_mask, findings = studies()
    with torch.no_grad():
        encoded = network.encode(network.encode_images(images, view_mask), findings)
        embedded, responses = network.embed(WORDS, encoded)
        query = network.word_embedding(WORDS) * 4 + sinusoids(torch.arange(4), 16)
        torch.testing.assert_close(responses, network.matching(query, encoded.bank, encoded.visible))
    torch.testing.assert_close(embedded, query + responses)


def test_same_seed_same_weights(make_network):
    first, second, third = make_network(), make_network(), make_network(seed=1)
    assert all(second.state_dict()[name].equal(tensor) for name, tensor in first.state_dict().items())
    assert not third.word_output.weight.equal(first.word_output.weight)
