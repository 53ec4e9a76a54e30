"""The families of convolutional networks, small and with random weights."""

import torch
from torch import nn
from torch.nn import functional as F


def conv_bn(i, o, k=3, stride=1, groups=1, act=nn.ReLU):
    conv = nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(o), act() if act else nn.Identity())


class Residual(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(conv_bn(i, o, 3, stride), conv_bn(o, o, act=None))
        self.skip = conv_bn(i, o, 1, stride, act=None) if stride > 1 or i != o else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


class SqueezeExcite(nn.Module):
    def __init__(self, c, gate):
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1), gate

    def forward(self, x):
        return x * self.gate(self.up(torch.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    def __init__(self, i, o, stride, act, excite=None, k=3):
        super().__init__()
        e = 4 * i
        layers = [conv_bn(i, e, 1, act=act), conv_bn(e, e, k, stride, groups=e, act=act)]
        if excite:
            layers.append(SqueezeExcite(e, excite))
        self.body = nn.Sequential(*layers, conv_bn(e, o, 1, act=None))
        self.adds = i == o and stride == 1

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


def classifier(*layers, width, classes=10):
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def resnet():
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2), Residual(64, 64, 1)]
    return classifier(conv_bn(3, 16), nn.MaxPool2d(2), *blocks, width=64)


def mobilenet_v2():
    blocks = [
        Inverted(16, 16, 1, nn.ReLU6),
        Inverted(16, 24, 2, nn.ReLU6),
        Inverted(24, 24, 1, nn.ReLU6),
        Inverted(24, 40, 2, nn.ReLU6),
    ]
    return classifier(
        conv_bn(3, 16, 3, 2, act=nn.ReLU6), *blocks, conv_bn(40, 128, 1, act=nn.ReLU6), width=128
    )


def mobilenet_v3():
    gate = nn.Hardsigmoid()
    blocks = [
        Inverted(16, 16, 1, nn.ReLU, gate),
        Inverted(16, 24, 2, nn.Hardswish),
        Inverted(24, 24, 1, nn.Hardswish, gate, 5),
        Inverted(24, 40, 2, nn.Hardswish, gate),
    ]
    return classifier(
        conv_bn(3, 16, 3, 2, act=nn.Hardswish),
        *blocks,
        conv_bn(40, 128, 1, act=nn.Hardswish),
        width=128,
    )


def efficientnet():
    gate = nn.Sigmoid()
    blocks = [
        Inverted(16, 16, 1, nn.SiLU, gate),
        Inverted(16, 24, 2, nn.SiLU, gate, 5),
        Inverted(24, 24, 1, nn.SiLU, gate),
        Inverted(24, 40, 2, nn.SiLU, gate),
    ]
    return classifier(
        conv_bn(3, 16, 3, 2, act=nn.SiLU), *blocks, conv_bn(40, 128, 1, act=nn.SiLU), width=128
    )


class ConvNextBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.depthwise, self.norm = (
            nn.Conv2d(c, c, 7, padding=3, groups=c),
            nn.LayerNorm(c, eps=1e-6),
        )
        self.up, self.down = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        self.scale = nn.Parameter(0.5 * torch.ones(c))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


def convnext():
    return classifier(
        nn.Conv2d(3, 32, 4, 4),
        ConvNextBlock(32),
        nn.Conv2d(32, 64, 2, 2),
        ConvNextBlock(64),
        ConvNextBlock(64),
        width=64,
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv_bn(3, 16), conv_bn(16, 32), conv_bn(32, 64)
        self.up2, self.up1 = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 4, 2, 1)
        self.d2, self.d1, self.out = conv_bn(64, 32), conv_bn(32, 16), nn.Conv2d(16, 4, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        d = self.d2(torch.cat([b, self.up2(c)], 1))
        return self.out(self.d1(torch.cat([a, self.up1(d)], 1)))


class Yolo(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            conv_bn(3, 16, 3, 2, act=nn.SiLU), conv_bn(16, 32, 3, 2, act=nn.SiLU)
        )
        self.wide, self.inner = conv_bn(32, 64, 1, act=nn.SiLU), conv_bn(32, 32, act=nn.SiLU)
        self.joined, self.deep = conv_bn(96, 64, 1, act=nn.SiLU), conv_bn(64, 64, 3, 2, act=nn.SiLU)
        self.spp1, self.spp2 = conv_bn(64, 32, 1, act=nn.SiLU), conv_bn(128, 64, 1, act=nn.SiLU)
        self.merge, self.head = conv_bn(128, 64, act=nn.SiLU), nn.Conv2d(64, 4 + 8, 1)

    def forward(self, x):
        one, two = self.wide(self.stem(x)).split(32, 1)
        p3 = self.joined(torch.cat([one, two, self.inner(two)], 1))
        y = self.spp1(self.deep(p3))
        pools = [y]
        for _ in range(3):
            pools.append(F.max_pool2d(pools[-1], 5, 1, 2))
        y = F.interpolate(self.spp2(torch.cat(pools, 1)), scale_factor=2.0)
        box, classes = self.head(self.merge(torch.cat([y, p3], 1))).flatten(2).split([4, 8], 1)
        return torch.cat([F.softplus(box), classes.sigmoid()], 1)
