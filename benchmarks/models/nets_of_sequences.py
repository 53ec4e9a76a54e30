"""Recurrent and sound networks, and modules with branches and loops, with random weights."""

import torch
from nets_of_convolutions import classifier, conv_bn
from torch import nn
from torch.nn import functional as F


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.words, self.rnn = nn.Embedding(200, 48), kind(48, 64, batch_first=True, **options)
        self.head = nn.Linear(128 if options.get("bidirectional") else 64, 8)

    def forward(self, ids):
        return self.head(self.rnn(self.words(ids))[0])


class Tcn(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(1 if i == 0 else 32, 32, 3, dilation=2**i) for i in range(5)
        )
        self.head = nn.Conv1d(32, 8, 1)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            y = torch.relu(layer(F.pad(x, (2 * 2**i, 0))))
            x = y if i == 0 else x + y
        return self.head(x)


class WaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Conv1d(1, 24, 1)
        self.gates = nn.ModuleList(nn.Conv1d(24, 48, 2, dilation=2**i) for i in range(6))
        self.mix = nn.ModuleList(nn.Conv1d(24, 24, 1) for _ in range(6))
        self.end = nn.Conv1d(24, 1, 1)

    def forward(self, x):
        x, skips = self.start(x), 0
        for i, (gate, mix) in enumerate(zip(self.gates, self.mix)):
            a, b = gate(F.pad(x, (2**i, 0))).chunk(2, 1)
            y = mix(torch.tanh(a) * torch.sigmoid(b))
            x, skips = x + y, skips + y
        return self.end(torch.relu(skips))


def audio_convs():
    layers = [nn.Conv1d(1, 32, 80, 16), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(4)]
    layers += [nn.Conv1d(32, 64, 3), nn.BatchNorm1d(64), nn.ReLU(), nn.AdaptiveAvgPool1d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 12))


class Crnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(
            conv_bn(1, 16), nn.MaxPool2d(2), conv_bn(16, 32), nn.MaxPool2d((4, 1))
        )
        self.rnn, self.head = (
            nn.LSTM(128, 48, bidirectional=True, batch_first=True),
            nn.Linear(96, 40),
        )

    def forward(self, x):
        x = self.convs(x).flatten(1, 2).transpose(1, 2)
        return self.head(self.rnn(x)[0]).log_softmax(-1)


def group_norms():
    def part(i, o, norm):
        return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), norm, nn.SiLU())

    return classifier(
        part(3, 16, nn.GroupNorm(4, 16)),
        part(16, 32, nn.InstanceNorm2d(32, affine=True)),
        part(32, 64, nn.GroupNorm(8, 64)),
        width=64,
    )


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(32, 128), nn.Linear(32, 128)
        self.head = nn.Linear(128, 64)

    def forward(self, x):
        def one(x):
            return torch.relu(self.a(x))

        def other(x):
            return torch.tanh(self.b(x))

        return self.head(torch.cond(x.sum() > 0, one, other, (x,)))


class Steps(nn.Module):
    """A matrix product in a loop of a number of steps given at run time."""

    def __init__(self):
        super().__init__()
        self.step, self.head = nn.Linear(64, 64), nn.Linear(64, 8)

    def forward(self, x, steps):
        from torch._higher_order_ops.while_loop import while_loop

        def more(i, x):
            return i < steps

        def body(i, x):
            return i + 1, torch.tanh(self.step(x))

        return self.head(while_loop(more, body, (torch.zeros((), dtype=torch.int64), x))[1])


class Scans(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.Linear(96, 64), nn.Linear(64, 8)

    def forward(self, x):
        from torch._higher_order_ops.scan import scan

        def step(state, x):
            state = torch.tanh(self.cell(torch.cat([state, x], -1)))
            return state, state.clone()

        state = torch.zeros(4, 64)
        return self.head(scan(step, state, x, dim=0)[1])
