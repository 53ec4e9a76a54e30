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
from nets_of_attention import Bert, Block, Gpt, Swin, ViT
from nets_of_convolutions import (
    UNet,
    Yolo,
    convnext,
    efficientnet,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
)
from nets_of_sequences import (
    Branches,
    Crnn,
    Recurrent,
    Scans,
    Steps,
    Tcn,
    WaveNet,
    audio_convs,
    group_norms,
)
from torch import nn
from wheels import picture, sound


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
