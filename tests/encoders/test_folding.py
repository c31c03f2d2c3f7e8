import pytest
import torch
from torch import nn

from xpronet.encoders.folding import fold_batch_norms
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet


def worn(depth: int) -> ResNet:
    """Return a backbone whose batch statistics, factors and shifts are not those of a new one."""
    backbone = ResNet(ImageEncoderSettings(depth=depth, width=4))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return backbone.eval()


@pytest.mark.parametrize("depth", [18, 50])
def test_folding_changes_nothing_but_rounding(depth):
    backbone = worn(depth)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    folded = fold_batch_norms(backbone)
    pictures = 255 * torch.rand(2, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = backbone(pictures), folded(pictures)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert all(tensor.equal(before[name]) for name, tensor in backbone.state_dict().items())
    assert all(parameter.requires_grad for parameter in backbone.parameters())
