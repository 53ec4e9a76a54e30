"""Calibration is kept in a file and given back to the same model, data and options alone."""

import json

import dwindle
import numpy as np
import pytest
from conftest import make_classifier, samples


def notes(model):
    return [note for report in model.report for note in report["notes"] if "calib" in note]


def quantize(path, x=None, model=None, **options):
    data = {"x": samples(20) if x is None else x}
    return dwindle.quantize(model or make_classifier(), data, calib_cache=path, **options)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "calibration.json"


def test_the_second_time_nothing_is_run_and_the_result_is_the_same(cache):
    plain = dwindle.quantize(make_classifier(), {"x": samples(20)}).to_bytes()
    first = quantize(cache)
    assert notes(first) == [f"calibration is kept in {cache}"]
    kept = cache.read_bytes()
    stages = []
    second = dwindle.quantize(
        make_classifier(),
        {"x": samples(20)},
        calib_cache=cache,
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert notes(second) == [f"calibration is that of {cache}"]
    assert "calibrating" not in stages
    assert first.to_bytes() == second.to_bytes() == plain
    assert cache.read_bytes() == kept
    assert second.quality["samples"] == first.quality["samples"]


def test_the_ranges_in_the_file_are_those_that_are_used(cache):
    quantize(cache)
    kept = json.loads(cache.read_text())
    for row in kept["values"]:
        row["low"], row["high"] = -100.0, 155.0
    cache.write_text(json.dumps(kept))
    small = quantize(cache, min_sqnr=0.0, min_output_sqnr=0.0, may_grow=True)
    scales = [name for name in small.initializers if name == "x_scale"]
    assert small.initializer(scales[0]) == 1.0


def test_options_that_calibration_does_not_depend_on_share_a_cache(cache):
    quantize(cache)
    assert notes(quantize(cache, per_tensor=True)) == [f"calibration is that of {cache}"]


@pytest.mark.parametrize(
    "change",
    [
        {"x": samples(20, seed=9)},
        {"x": samples(19)},
        {"model": make_classifier(seed=3)},
        {"calib_method": "minmax"},
        {"activations": "int8"},
        {"exclude": "gemm"},
    ],
    ids=["data", "samples", "model", "method", "activations", "nodes"],
)
def test_a_stale_cache_is_made_anew_and_it_is_said(cache, change):
    quantize(cache)
    kept = json.loads(cache.read_text())
    made = quantize(cache, **change)
    assert "was of another model, data or options" in " ".join(notes(made))
    assert json.loads(cache.read_text())["hash"] != kept["hash"]
    assert notes(quantize(cache, **change)) == [f"calibration is that of {cache}"]
    without = {key: value for key, value in change.items() if key not in ("x", "model")}
    plain = dwindle.quantize(
        change.get("model", make_classifier()), {"x": change.get("x", samples(20))}, **without
    )
    assert made.to_bytes() == plain.to_bytes()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', "\x00\xff"])
def test_a_file_that_is_no_cache_is_left_alone(cache, text):
    cache.write_text(text)
    with pytest.raises(dwindle.BadData, match="is no calibration cache"):
        quantize(cache)
    assert cache.read_text() == text


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept.pop("values"),
        lambda kept: kept["values"].pop(),
        lambda kept: kept["values"][0].pop("low"),
        lambda kept: kept["values"][0].update(high="much"),
        lambda kept: kept.update(means=3),
        lambda kept: kept.update(samples=None),
    ],
)
def test_a_damaged_cache_is_an_error(cache, damage):
    quantize(cache)
    kept = json.loads(cache.read_text())
    damage(kept)
    cache.write_text(json.dumps(kept))
    with pytest.raises(dwindle.BadData, match="is damaged"):
        quantize(cache)


def test_data_that_can_be_read_only_once_is_refused(cache):
    feeds = ({"x": x[None]} for x in samples(4))
    with pytest.raises(dwindle.BadData, match="read only once"):
        dwindle.quantize(make_classifier(), feeds, calib_cache=cache)
    assert not cache.exists()


def test_a_folder_that_is_not_there(cache):
    with pytest.raises(dwindle.IoError):
        quantize(cache.parent / "nowhere" / "cache.json")


def test_the_command(dwindle_command, classifier_path, calib_path, cache, tmp_path):
    for name, note in (("a.onnx", "is kept in"), ("b.onnx", "is that of")):
        finished = dwindle_command(
            *("quantize", classifier_path, tmp_path / name, "--calib", calib_path),
            *("--calib-cache", cache),
        )
        assert finished.returncode == 0, finished.stderr
        assert note in finished.stdout
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    with np.load(calib_path) as calib:
        assert calib["x"].shape[0] == 20
