import pytest
import torch
from torch import nn

from xpronet.encoders.build import build_image_encoder
from xpronet.encoders.folding import fold_batch_norms
from xpronet.encoders.image_encoder import ImageEncoderSettings

IMAGES = 255 * torch.rand(2, 64, 64, generator=torch.Generator().manual_seed(1))


def wear(encoder: nn.Module) -> nn.Module:
    """Give an encoder batch statistics, factors and shifts that are not those of a new one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return encoder.eval()


def norms(encoder: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        (ImageEncoderSettings(depth=18, width=4), 0),
        (ImageEncoderSettings(depth=50, width=4), 0),
        # DenseNet normalises what it has put together: the first of each layer, of each transition, and the last.
        (ImageEncoderSettings(name="densenet121", width=4), 58 + 3 + 1),
    ],
)
def test_folding_changes_nothing_but_rounding(settings, left):
    encoder = wear(build_image_encoder(settings))
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    folded = fold_batch_norms(encoder)
    with torch.inference_mode():
        expected, found = encoder(IMAGES), folded(IMAGES)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert norms(folded) == left
    assert all(tensor.equal(before[name]) for name, tensor in encoder.state_dict().items())
    assert all(parameter.requires_grad for parameter in encoder.parameters())


class Twisted(nn.Module):
    """Names say convolution, then normalisation; the order is the other one."""

    def __init__(self):
        super().__init__()
        self.settings, self.width_out = ImageEncoderSettings(), 4
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images):
        return self.conv1(self.bn1(images.unsqueeze(1).expand(-1, 4, -1, -1)))


def test_the_inside_of_other_encoders_is_left_alone():
    encoder = wear(Twisted())
    folded = fold_batch_norms(encoder.train())
    assert encoder.training
    assert not folded.training
    assert norms(folded) == 1
    with torch.inference_mode():
        assert torch.equal(folded(IMAGES), encoder.eval()(IMAGES))
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert all(parameter.requires_grad for parameter in encoder.parameters())
