"""Train the demo's model: a small CNN on Fashion-MNIST, exported to ONNX with its BatchNorms.

    apt-get install dataset-fashion-mnist
    pip install -r requirements/torch.txt      (or: make setup-torch)
    python examples/fashion_mnist/train.py

Writes three files beside this script (or into --out):

    model.onnx  input `image` N x 1 x 28 x 28 float32 in 0..1, output `logits` N x 10, opset 17.
                BatchNormalization is left as nodes of its own: what `dwindle simplify` is for.
    calib.npz   `image`: 200 images of the training set, to calibrate on
    eval.npz    `image`, `label`: the first 500 images of the test set and their classes

The run is seeded and uses deterministic algorithms; another CPU or thread count may still sum
in another order and end at slightly different weights.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

DATA = Path("/usr/share/datasets/fashion-mnist")  # Debian's dataset-fashion-mnist
CALIB_IMAGES = 200
EVAL_IMAGES = 500


def read_idx(path: Path) -> np.ndarray:
    """Read one gzipped IDX file of bytes: two zeros, type 8, rank, big-endian sizes, data."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_split(data: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as N x 1 x 28 x 28 float32 in 0..1, and their classes as int64."""
    images = read_idx(data / f"{split}-images-idx3-ubyte.gz")
    labels = read_idx(data / f"{split}-labels-idx1-ubyte.gz")
    return images[:, None].astype(np.float32) / np.float32(255), labels.astype(np.int64)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class SmallNet(nn.Module):
    """About 53,000 weights; plain, depthwise and pointwise convolutions and one residual sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(1, 16, 3), conv(16, 32, 3, stride=2))
        self.widen = nn.Sequential(conv(32, 32, 3, groups=32), conv(32, 64, 1))
        self.shrink = conv(64, 64, 3, stride=2)
        self.residual = nn.Sequential(conv(64, 64, 3, groups=64), conv(64, 64, 1))
        self.head = nn.Sequential(conv(64, 128, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classify = nn.Linear(128, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.shrink(self.widen(self.stem(image)))
        return self.classify(self.head(x + self.residual(x)))


def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        guesses = torch.cat([model(batch).argmax(1) for batch in images.split(1000)])
    return float((guesses == labels).float().mean())


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
    """AdamW under a one-cycle rate; each batch is mirrored left to right half of the time."""
    batch = 128
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=8e-3, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        model.train()
        order = torch.randperm(len(images))
        for chosen in order[: len(images) // batch * batch].split(batch):
            x = images[chosen]
            if torch.rand(()) < 0.5:
                x = x.flip(3)
            loss = loss_of(model(x), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        seconds = time.monotonic() - started
        print(
            f"epoch {epoch + 1}/{epochs}: loss {total * batch / len(images):.4f}, {seconds:.0f} s"
        )


def export(model: nn.Module, path: Path) -> None:
    """TrainingMode.PRESERVE on a model in eval mode keeps BatchNorm apart from its Conv."""
    model.eval()
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 28, 28),),
        str(path),
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    torch.manual_seed(20)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(2)

    train_x, train_y = load_split(args.data, "train")
    test_x, test_y = load_split(args.data, "t10k")
    model = SmallNet()
    train(model, torch.from_numpy(train_x), torch.from_numpy(train_y), args.epochs)
    top1 = accuracy(model, torch.from_numpy(test_x), torch.from_numpy(test_y))
    print(f"top-1 on the {len(test_y)} test images: {top1:.4f}")

    args.out.mkdir(parents=True, exist_ok=True)
    export(model, args.out / "model.onnx")
    chosen = np.random.default_rng(0).choice(len(train_x), CALIB_IMAGES, replace=False)
    np.savez_compressed(args.out / "calib.npz", image=train_x[np.sort(chosen)])
    np.savez_compressed(
        args.out / "eval.npz", image=test_x[:EVAL_IMAGES], label=test_y[:EVAL_IMAGES]
    )


if __name__ == "__main__":
    main()
