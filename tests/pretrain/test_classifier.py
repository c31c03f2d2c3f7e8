"""The classifier, its loss and what is frozen."""

import math

import numpy as np
import pytest
import torch

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.pretrain.classifier import FindingsClassifier, masked_loss, pool_views, positive_weights
from xpronet.pretrain.settings import FitSettings


def _classifier(settings: FitSettings) -> FindingsClassifier:
    return FindingsClassifier(ResNet(ImageEncoderSettings(depth=18, width=4)), 14, settings)


def test_the_loss_is_the_mean_over_known_labels() -> None:
    logits = torch.tensor([[0.0, 2.0], [0.0, -1.0]])
    targets = torch.tensor([[1.0, torch.nan], [torch.nan, 0.0]])
    loss = masked_loss(logits, targets, torch.tensor([3.0, 5.0]))
    expected = (3 * math.log(2) + math.log1p(math.exp(-1.0))) / 2
    assert float(loss) == pytest.approx(expected, abs=1e-6)
    unknown = masked_loss(logits.requires_grad_(), torch.full((2, 2), torch.nan), torch.ones(2))
    unknown.backward()
    assert float(unknown.detach()) == 0
    assert not logits.grad.any()


def test_views_are_pooled_by_study() -> None:
    logits = torch.tensor([[1.0], [5.0], [-2.0]])
    owners = torch.tensor([0, 0, 1])
    assert pool_views(logits, owners, 2, "mean").tolist() == [[3.0], [-2.0]]
    assert pool_views(logits, owners, 2, "max").tolist() == [[5.0], [-2.0]]


def test_rare_findings_weigh_more_up_to_a_limit() -> None:
    targets = np.zeros((100, 3), np.float32)
    targets[:20, 0], targets[:1, 1], targets[:, 2] = 1, 1, np.nan
    root = positive_weights(targets, FitSettings(most_weight=8.0))
    torch.testing.assert_close(root, torch.tensor([2.0, 8.0, 1.0]))
    balanced = positive_weights(targets, FitSettings(class_weights="balanced", most_weight=50.0))
    torch.testing.assert_close(balanced, torch.tensor([4.0, 50.0, 1.0]))
    assert positive_weights(targets, FitSettings(class_weights="none")).tolist() == [1, 1, 1]


def test_frozen_parts_keep_weights_and_statistics() -> None:
    network = _classifier(FitSettings(train_from="layer3")).train()
    names = {name.removeprefix("backbone.").partition(".")[0] for name, _ in network.trained()}
    assert names == {"layer3", "layer4", "fc"}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.rand(4, 64, 64) * 255, torch.Generator()).sum().backward()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(name.startswith("backbone.layer3.0.bn1.running_mean") for name in changed)
    assert not any(name.startswith(("backbone.bn1", "backbone.layer1", "backbone.layer2")) for name in changed)


def test_stored_statistics_make_train_and_use_the_same() -> None:
    images = torch.rand(3, 64, 64) * 255
    stored = _classifier(FitSettings(batch_norm="stored"))
    torch.testing.assert_close(stored.train()(images), stored.eval()(images))
    batch = _classifier(FitSettings(batch_norm="batch"))
    assert not torch.allclose(batch.train()(images), batch.eval()(images))


def test_dropout_is_drawn_from_the_generator_alone() -> None:
    network = _classifier(FitSettings(dropout=0.5)).eval()
    images = torch.rand(2, 64, 64) * 255
    one, again = (network(images, torch.Generator().manual_seed(1)) for _ in range(2))
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert not torch.allclose(one, network(images, torch.Generator().manual_seed(2)))
    torch.testing.assert_close(network(images), network(images))
