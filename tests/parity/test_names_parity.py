"""Our parameters against the names and shapes of the published checkpoints, both ways."""

import pytest
import torch

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.model.network import XProNet
from xpronet.model.published_checkpoint import (
    MATCHING,
    MATCHING_AGAIN,
    POSITIONS,
    from_published,
    published_name,
    to_published,
)
from xpronet.model.settings import ModelSettings


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A whole network, ResNet-101 and all, with no two tensors alike."""
    network = XProNet(
        backbone=ResNet(ImageEncoderSettings(depth=101)),
        settings=ModelSettings(norm="published", findings_head=False),
        num_words=761,
        padding=0,
        num_findings=14,
    )
    state = network.state_dict()
    for number, tensor in enumerate(state.values()):
        tensor.view(-1)[0] = number
    return state


def test_every_name_and_shape(state, official_shapes):
    assert {name: tuple(tensor.shape) for name, tensor in to_published(state).items()} == official_shapes


def test_names_are_distinct(state):
    assert len({published_name(name) for name in state}) == len(state)


def test_there_and_back_gives_the_same_tensors(state):
    back = from_published(to_published(state), state, "a file")
    assert list(back) == list(state)
    assert all(back[name] is tensor for name, tensor in state.items())


def test_back_and_there_gives_the_same_tensors(official_shapes, state):
    theirs = {name: torch.empty(shape) for name, shape in official_shapes.items()}
    for number, (name, tensor) in enumerate(theirs.items()):
        tensor.fill_(number)
        if name.startswith(MATCHING_AGAIN):
            theirs[name] = theirs[MATCHING + name.removeprefix(MATCHING_AGAIN)].clone()
        if name in POSITIONS:
            theirs[name] = to_published(state)[name]
    again = to_published(from_published(theirs, state, "a file"))
    assert set(again) == set(theirs)
    assert all(again[name].equal(tensor) for name, tensor in theirs.items())


def test_second_copies_and_positions_may_be_missing(state):
    lean = {
        name: tensor
        for name, tensor in to_published(state).items()
        if not name.startswith(MATCHING_AGAIN) and name not in POSITIONS
    }
    assert len(from_published(lean, state, "a file")) == len(state)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("encoder_decoder.logit.bias", None, "encoder_decoder.logit.bias is missing"),
        ("encoder_decoder.logit.bias", torch.zeros(5), r"shape \(5,\) where the settings ask for \(761,\)"),
        ("encoder_decoder.extra", torch.zeros(5), "encoder_decoder.extra"),
        (MATCHING_AGAIN + "linears.0.bias", torch.zeros(512), "second copy differ"),
        (POSITIONS[0], torch.zeros(1, 5000, 512), "no sinusoids"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_name(state, name, change, told):
    theirs = to_published(state)
    if change is None:
        del theirs[name]
    else:
        theirs[name] = change
    with pytest.raises(InputError, match=told):
        from_published(theirs, state, "a file")


def test_what_the_published_model_lacks_has_no_name():
    with pytest.raises(KeyError):
        published_name("findings_head.linear.weight")
