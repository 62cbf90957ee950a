"""Networks, one file an architecture."""

from cnnbook.models.alexnet import AlexNet
from cnnbook.models.convnext import ConvNeXt
from cnnbook.models.decoder import Autoencoder, Decoder, Encoder
from cnnbook.models.densenet import DenseNet
from cnnbook.models.googlenet import GoogLeNet, Inception
from cnnbook.models.lenet5 import LeNet5
from cnnbook.models.mobilenet import MobileNet
from cnnbook.models.modern_lenet import ModernLeNet
from cnnbook.models.one_conv import OneConvNet
from cnnbook.models.one_epoch import OneEpochNet
from cnnbook.models.resnet import ResNet
from cnnbook.models.small import SmallNet
from cnnbook.models.small_alexnet import SmallAlexNet
from cnnbook.models.small_inception import SmallInception
from cnnbook.models.small_resnet import SmallResNet
from cnnbook.models.squeeze_excitation import SENet
from cnnbook.models.three_conv import ThreeConvNet
from cnnbook.models.unet import UNet
from cnnbook.models.vgg import VGG

__all__ = [
    "VGG",
    "AlexNet",
    "Autoencoder",
    "ConvNeXt",
    "Decoder",
    "DenseNet",
    "Encoder",
    "GoogLeNet",
    "Inception",
    "LeNet5",
    "MobileNet",
    "ModernLeNet",
    "OneConvNet",
    "OneEpochNet",
    "ResNet",
    "SENet",
    "SmallAlexNet",
    "SmallInception",
    "SmallNet",
    "SmallResNet",
    "ThreeConvNet",
    "UNet",
]
