"""Models of the common families as PyTorch's two exporters write them, with random weights.

The names end in `-ts` (TorchScript) and `-dynamo`. Batch axes are dynamic where that can be exported,
and the sequence axes of transformers too. Normalizations get statistics of their own, and some
channels of the transformers are far larger than the rest, as in trained ones.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from wheels import picture, sound


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


class Attention(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(self, x, mask=None):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5
        if mask is not None:
            scores = scores + mask
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, c, heads, first_norm=True):
        super().__init__()
        self.n1, self.n2, self.first_norm = nn.LayerNorm(c), nn.LayerNorm(c), first_norm
        self.attention, self.up, self.down = (
            Attention(c, heads),
            nn.Linear(c, 4 * c),
            nn.Linear(4 * c, c),
        )

    def feed(self, x):
        return self.down(F.gelu(self.up(x)))

    def forward(self, x, mask=None):
        if self.first_norm:
            x = x + self.attention(self.n1(x), mask)
            return x + self.feed(self.n2(x))
        x = self.n1(x + self.attention(x, mask))
        return self.n2(x + self.feed(x))


class ViT(nn.Module):
    def __init__(self, c=64):
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, c, 8, 8), nn.Parameter(torch.randn(1, 1, c))
        self.position = nn.Parameter(torch.randn(1, 17, c))
        self.blocks = nn.ModuleList(Block(c, 4) for _ in range(4))
        self.norm, self.head = nn.LayerNorm(c), nn.Linear(c, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Swin(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.patch, self.blocks = (
            nn.Conv2d(3, c, 4, 4),
            nn.ModuleList(Block(c, 4) for _ in range(4)),
        )
        self.norm, self.head = nn.LayerNorm(c), nn.Linear(c, 10)
        ids = torch.arange(8).div(4, rounding_mode="floor").roll(-2)
        window = (ids[:, None] * 2 + ids).reshape(2, 4, 2, 4).transpose(1, 2).reshape(4, 1, 16)
        shifted = torch.where(window != window.transpose(1, 2), -100.0, 0.0)
        self.register_buffer("mask", shifted[None, :, None])

    def windows(self, block, x, mask):
        b, _, _, c = x.shape
        x = x.reshape(b, 2, 4, 2, 4, c).transpose(2, 3).reshape(b * 4, 16, c)
        if mask is not None:
            mask = mask.expand(b, -1, -1, -1, -1).reshape(b * 4, 1, 16, 16)
        x = block(x, mask).reshape(b, 2, 2, 4, 4, c).transpose(2, 3)
        return x.reshape(b, 8, 8, c)

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        for i, block in enumerate(self.blocks):
            if i % 2:
                x = self.windows(block, x.roll((-2, -2), (1, 2)), self.mask).roll((2, 2), (1, 2))
            else:
                x = self.windows(block, x, None)
        return self.head(self.norm(x).mean((1, 2)))


class Bert(nn.Module):
    def __init__(self, hidden=-torch.inf, c=64, layers=4):
        super().__init__()
        self.words, self.places = nn.Embedding(1000, c), nn.Embedding(64, c)
        self.norm, self.hidden = nn.LayerNorm(c), hidden
        self.blocks = nn.ModuleList(Block(c, 4, first_norm=False) for _ in range(layers))

    def forward(self, ids, mask):
        x = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1])))
        blocked = torch.where(mask[:, None, None] > 0, 0.0, self.hidden)
        for block in self.blocks:
            x = block(x, blocked)
        weight = mask[:, :, None].float()
        return x, (x * weight).sum(1) / weight.sum(1)


class Gpt(nn.Module):
    """Causal, and its embedding is the decoder's matrix."""

    def __init__(self, c=64, dtype=torch.float32):
        super().__init__()
        self.words, self.places = nn.Embedding(1000, c), nn.Embedding(64, c)
        self.blocks, self.norm = nn.ModuleList(Block(c, 4) for _ in range(4)), nn.LayerNorm(c)
        self.least = torch.finfo(dtype).min

    def forward(self, ids):
        n = ids.shape[1]
        x = self.words(ids) + self.places(torch.arange(n))
        mask = torch.full((n, n), self.least, dtype=x.dtype).triu(1)
        for block in self.blocks:
            x = block(x, mask)
        return F.linear(self.norm(x), self.words.weight)


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


def images(*shape):
    return lambda rng: (2 * picture(rng, *shape)[None] - 1,)


def tokens(count, length):
    return lambda rng: (rng.integers(0, count, (1, length)),)


def masked(rng):
    length, words = 24, int(rng.integers(8, 25))
    mask = (np.arange(length) < words).astype(np.int64)[None]
    return rng.integers(1, 1000, (1, length)) * mask, mask


def waves(samples):
    return lambda rng: (sound(rng, samples)[None, None],)


def vectors(*shape):
    return lambda rng: (rng.standard_normal(shape).astype(np.float32),)


def counted(rng):
    return (*vectors(1, 64)(rng), np.array(rng.integers(1, 6)))


# name: module, inputs, exporters, dynamic axes of each input, dtype
BATCH = [{0: "batch"}]
TEXT = [{0: "batch", 1: "length"}]
BOTH = ("ts", "dynamo")
FAMILIES = {
    "resnet": (resnet, images(3, 32, 32), BOTH, BATCH, None),
    "mobilenet-v2": (mobilenet_v2, images(3, 64, 64), BOTH, BATCH, None),
    "mobilenet-v3": (mobilenet_v3, images(3, 64, 64), BOTH, BATCH, None),
    "efficientnet": (efficientnet, images(3, 64, 64), BOTH, BATCH, None),
    "convnext": (convnext, images(3, 64, 64), BOTH, BATCH, None),
    "unet": (UNet, images(3, 32, 32), BOTH, BATCH, None),
    "yolo": (Yolo, images(3, 64, 64), BOTH, BATCH, None),
    "vit": (ViT, images(3, 32, 32), BOTH, BATCH, None),
    "swin": (Swin, images(3, 32, 32), BOTH, BATCH, None),
    "bert": (Bert, masked, BOTH, TEXT * 2, None),
    "bert-finite-mask": (
        lambda: Bert(torch.finfo(torch.float32).min),
        masked,
        BOTH,
        TEXT * 2,
        None,
    ),
    "bert-1e4-mask": (lambda: Bert(-1e4), masked, BOTH, TEXT * 2, None),
    "gpt": (Gpt, tokens(1000, 20), BOTH, TEXT, None),
    "lstm": (lambda: Recurrent(nn.LSTM, num_layers=2), tokens(200, 16), BOTH, TEXT, None),
    "lstm-bidirectional": (
        lambda: Recurrent(nn.LSTM, bidirectional=True),
        tokens(200, 16),
        BOTH,
        TEXT,
        None,
    ),
    "gru": (lambda: Recurrent(nn.GRU, bidirectional=True), tokens(200, 16), BOTH, TEXT, None),
    "rnn": (lambda: Recurrent(nn.RNN), tokens(200, 16), BOTH, TEXT, None),
    "tcn": (Tcn, waves(1024), BOTH, BATCH, None),
    "wavenet": (WaveNet, waves(1024), BOTH, BATCH, None),
    "audio-convs": (audio_convs, waves(4000), BOTH, BATCH, None),
    "crnn": (Crnn, images(1, 32, 96), BOTH, BATCH, None),
    "group-norms": (group_norms, images(3, 64, 64), BOTH, BATCH, None),
    "branches": (Branches, vectors(4, 32), ("dynamo",), [None], None),
    "steps": (Steps, counted, ("dynamo",), [None, None], None),
    "scans": (Scans, vectors(6, 4, 32), ("dynamo",), [None], None),
    "resnet-half": (resnet, images(3, 32, 32), BOTH, BATCH, torch.float16),
    "vit-half": (ViT, images(3, 32, 32), BOTH, BATCH, torch.float16),
    "gpt-half": (lambda: Gpt(dtype=torch.float16), tokens(1000, 20), BOTH, TEXT, torch.float16),
}
MODELS = {f"{name}-{by}": (name, by) for name, row in FAMILIES.items() for by in row[2]}


def liven(module):
    """Gives weights the unevenness of trained ones."""
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(part.weight, 0.3, 1.7)
            nn.init.normal_(part.bias, 0, 0.3)
            nn.init.normal_(part.running_mean, 0, 0.2)
            nn.init.uniform_(part.running_var, 0.2, 1.2)
        if isinstance(part, nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.2)
            with torch.no_grad():  # the few channels that dwarf the others in trained transformers
                part.weight[3], part.bias[5] = 5.0, -6.0
        if isinstance(part, Block):
            nn.init.normal_(part.attention.qkv.weight, 0, 0.05)
            with torch.no_grad():
                part.down.weight[7] *= 10


def build(name):
    family, by = MODELS[name]
    make, inputs, _, axes, dtype = FAMILIES[family]
    torch.manual_seed(0)
    module = make()
    liven(module)
    module.eval()
    sample = [torch.from_numpy(np.asarray(x)) for x in inputs(np.random.default_rng(0))]
    if dtype is not None:
        module = module.to(dtype)
        sample = [x.to(dtype) if x.is_floating_point() else x for x in sample]
    names = [f"input{i}" for i in range(len(sample))]
    file = io.BytesIO()
    if by == "ts":
        dynamic = {n: a for n, a in zip(names, axes) if a}
        options = {"dynamo": False, "dynamic_axes": dynamic, "opset_version": 17}
        torch.onnx.export(module, tuple(sample), file, input_names=names, **options)
        return file.getvalue()
    if any(axes):
        sample = [torch.cat([x, x]) if a else x for x, a in zip(sample, axes)]
    auto = torch.export.Dim.DYNAMIC
    dynamic = tuple({i: auto for i in a} if a else None for a in axes)
    options = {"dynamo": True, "verbose": False, "input_names": names}
    if any(axes):
        options["dynamic_shapes"] = dynamic
    return torch.onnx.export(module, tuple(sample), **options).model_proto.SerializeToString()


def fetch(name, folder):
    """Path of the model, exported where it is not there yet; None where that fails."""
    path = Path(folder) / "exports" / f"{name}.onnx"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    try:
        path.write_bytes(build(name))
    except Exception as error:
        print(f"{name} cannot be exported: {str(error)[:500]}")
        return None
    return path


def feeds(name, count, seed):
    family, _ = MODELS[name]
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        arrays = FAMILIES[family][1](rng)
        if FAMILIES[family][4] is not None:
            arrays = [a.astype(np.float16) if a.dtype == np.float32 else a for a in arrays]
        made.append({f"input{i}": a for i, a in enumerate(arrays)})
    return made
