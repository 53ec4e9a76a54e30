"""Data of every kind, and what is wrong with it."""

import zipfile

import dwindle
import ml_dtypes
import numpy as np
import pytest
from conftest import make_classifier, make_identity, samples
from dwindle import _dwindle


def feeds(model, data, **options):
    return _dwindle.feeds(model, data, options)


def counts(all_feeds):
    return [(len(next(iter(inputs.values()))), real) for inputs, _, real in all_feeds]


def joined(all_feeds, name="x"):
    return np.concatenate([inputs[name][:real] for inputs, _, real in all_feeds])


@pytest.fixture(params=["npz", "deflated", "npy", "dict", "array"])
def stored(request, tmp_path):
    """The same array as data of some kind."""

    def store(x):
        if request.param == "npz":
            np.savez(tmp_path / "d.npz", x=x)
        elif request.param == "deflated":
            np.savez_compressed(tmp_path / "d.npz", x=x)
        elif request.param == "npy":
            np.save(tmp_path / "d.npy", x)
        else:
            return {"x": x} if request.param == "dict" else x
        return next(tmp_path.glob("d.np?"))

    return store


def test_open_batch_takes_ragged_batches(stored):
    x = samples(19)
    got = feeds(make_classifier(), stored(x))
    assert counts(got) == [(8, 8), (8, 8), (3, 3)]
    np.testing.assert_array_equal(joined(got), x)


def test_fixed_batch_is_filled_by_repeating(stored):
    x = samples(7)
    got = feeds(make_classifier(batch=3), stored(x))
    assert counts(got) == [(3, 3), (3, 3), (3, 1)]
    np.testing.assert_array_equal(joined(got), x)
    np.testing.assert_array_equal(got[2][0]["x"], x[[6, 6, 6]])


def test_fewer_samples_than_the_fixed_batch(stored):
    x = samples(2)
    ((inputs, _, real),) = feeds(make_classifier(batch=5), stored(x))
    assert real == 2
    np.testing.assert_array_equal(inputs["x"], x[[0, 1, 0, 1, 0]])


def test_one_axis_more_is_a_whole_feed_each(stored):
    x = samples(12).reshape(6, 2, 3, 8, 8)
    got = feeds(make_classifier(), stored(x))
    assert len(got) == 6
    for i, (inputs, _, _) in enumerate(got):
        np.testing.assert_array_equal(inputs["x"], x[i])


def test_fortran_order(stored):
    model = make_identity(x=(np.float32, ["N", 5, 3]))
    x = np.asfortranarray(samples(4, shape=(5, 3)))
    np.testing.assert_array_equal(joined(feeds(model, stored(x))), x)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float16", "float64"])
def test_dtypes(stored, dtype):
    model = make_identity(x=(dtype, ["N", 2]))
    x = np.array([[0, 1], [1, 0], [1, 1]], dtype)
    np.testing.assert_array_equal(joined(feeds(model, stored(x))), x)


def test_float32_is_rounded_where_the_model_takes_bfloat16(stored, tmp_path):
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    x = samples(600, shape=(5,))
    got = joined(feeds(make_identity(x=(bfloat16, ["N", 5])), stored(x)))
    assert got.dtype == bfloat16
    np.testing.assert_array_equal(got, x.astype(bfloat16))
    (folder := tmp_path / "feeds").mkdir()
    np.savez(folder / "0.npz", x=x)
    got = joined(feeds(make_identity(x=(bfloat16, ["N", 5])), folder))
    np.testing.assert_array_equal(got, x.astype(bfloat16))
    model = dwindle.from_onnx(make_identity(x=(bfloat16, ["N", 5])))
    np.testing.assert_array_equal(model.run({"x": x})["x_out"], x.astype(bfloat16))
    with pytest.raises(dwindle.BadData, match=r"float64.*astype\('float32'\), which is rounded"):
        feeds(make_identity(x=(bfloat16, ["N", 5])), stored(x.astype(np.float64)))


def test_several_inputs_and_labels(tmp_path):
    model = make_identity(a=(np.float32, ["N", 2]), b=(np.int64, ["N"]))
    a, b, y = samples(10, shape=(2,)), np.arange(10), np.arange(10, dtype=np.uint8) % 3
    np.savez_compressed(tmp_path / "d.npz", a=a, b=b, y=y)
    got = feeds(model, tmp_path / "d.npz", labels="y")
    np.testing.assert_array_equal(joined(got, "a"), a)
    np.testing.assert_array_equal(joined(got, "b"), b)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels, _ in got]), y)
    # Without --labels the classes are passed over.
    assert all(labels is None for _, labels, _ in feeds(model, tmp_path / "d.npz"))


def test_folder_of_npz_keeps_each_feed(tmp_path):
    model = make_identity(x=(np.float32, ["T", None]))
    arrays = [samples(1, seed=i, shape=(i + 1, 2 * i + 1))[0] for i in range(4)]
    for i, x in enumerate(arrays):
        np.savez(tmp_path / f"{i}.npz", x=x, y=np.arange(i + 1))
    got = feeds(model, tmp_path, labels="y")
    assert [real for _, _, real in got] == [1, 2, 3, 4]
    for (inputs, _, _), x in zip(got, arrays, strict=True):
        np.testing.assert_array_equal(inputs["x"], x)


def test_iterables_of_feeds():
    model, x = make_classifier(), samples(6)
    items = [{"x": x[:2]}, {"x": x[2:5]}, {"x": x[5:]}]

    class Reader:
        def __init__(self):
            self.left = list(items)

        def get_next(self):
            return self.left.pop(0) if self.left else None

    for data in (items, iter(items), (item for item in items), Reader(), [i["x"] for i in items]):
        got = feeds(model, data)
        assert counts(got) == [(2, 2), (3, 3), (1, 1)]
        np.testing.assert_array_equal(joined(got), x)


def bad_cases():
    x = samples(4)
    yield "name", {"z": x}, r"no key 'x'; rename 'z' to 'x'.*x float32\[N,3,8,8\]"
    yield "names", {"z": x, "q": x}, r"no key 'x'; its keys are 'q', 'z'"
    yield "extra", {"x": x, "z": x}, r"'z' is no input"
    yield "dtype", {"x": x.astype(np.float64)}, r"float64.*wants float32.*astype\('float32'\)"
    yield "shape", {"x": x[:, :2]}, r"\[4,2,8,8\]"
    yield "rank", {"x": x[0, 0]}, r"\[8,8\]"
    yield "scalar", {"x": np.float32(1)}, r"\[\]"
    yield "empty", {"x": x[:0]}, "0 samples"


@pytest.mark.parametrize(
    ("data", "message"), [c[1:] for c in bad_cases()], ids=[c[0] for c in bad_cases()]
)
def test_data_that_does_not_fit(tmp_path, data, message):
    np.savez(tmp_path / "d.npz", **data)
    for source in (data, tmp_path / "d.npz"):
        with pytest.raises(dwindle.BadData, match=message):
            feeds(make_classifier(), source)


def test_counts_must_agree(tmp_path):
    model = make_identity(a=(np.float32, ["N"]), b=(np.float32, ["N"]))
    with pytest.raises(dwindle.BadData, match="'a' has 3 samples, but 'b' 4"):
        feeds(model, {"a": np.zeros(3, np.float32), "b": np.zeros(4, np.float32)})
    with pytest.raises(dwindle.BadData, match="3 samples, but the classes 2"):
        zeros = np.zeros(3, np.float32)
        feeds(model, {"a": zeros, "b": zeros, "y": np.arange(2)}, labels="y")
    with pytest.raises(dwindle.BadData, match="no key 'q' for the classes"):
        feeds(model, {"a": zeros, "b": zeros}, labels="q")
    with pytest.raises(dwindle.BadData, match="integers are wanted"):
        feeds(model, {"a": zeros, "b": zeros, "y": zeros}, labels="y")
    with pytest.raises(dwindle.BadData, match=r"2 .*key for each"):
        feeds(model, zeros)


def write_npz(path, name, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)


def npy_bytes(tmp_path, array):
    np.save(tmp_path / "bytes.npy", array)
    return (tmp_path / "bytes.npy").read_bytes()


def test_damaged_files(tmp_path):
    model = make_classifier()
    good = npy_bytes(tmp_path, samples(3))
    path = tmp_path / "d.npz"
    huge = good.replace(b"(3, 3, 8, 8)", b"(3000000000000, 3, 8, 8)")
    for content in (
        good[:-100],
        good[:70],
        b"",
        b"no array",
        huge,
        good.replace(b"'<f4'", b"'<q9'"),
        good.replace(b"fortran", b"fortrex"),
    ):
        write_npz(path, "x.npy", content)
        with pytest.raises(dwindle.BadData, match=r"key 'x' of .*d\.npz"):
            feeds(model, path)
        (tmp_path / "d.npy").write_bytes(content)
        with pytest.raises(dwindle.BadData, match=r"d\.npy"):
            feeds(model, tmp_path / "d.npy")
    write_npz(path, "readme.txt", b"text")
    with pytest.raises(dwindle.BadData, match=r"readme.txt"):
        feeds(model, path)
    for junk in (b"", b"PK\3\4 junk", good):
        path.write_bytes(junk)
        with pytest.raises(dwindle.BadData, match=r"no .npz archive"):
            feeds(model, path)


def test_damaged_stream_is_found_while_reading(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=samples(50))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(dwindle.BadData, match="damaged"):
        feeds(make_classifier(), path)


def test_element_types_that_cannot_be_fed(tmp_path):
    for array, message in (
        (samples(2).astype(">f4"), "big-endian"),
        (np.array([["a"]]), "cannot be fed"),
        (np.zeros(3, [("a", "f4")]), "structured"),
    ):
        np.savez(tmp_path / "d.npz", x=array)
        with pytest.raises(dwindle.BadData, match=message):
            feeds(make_classifier(), tmp_path / "d.npz")


def test_what_is_no_data(tmp_path):
    model = make_classifier()
    with pytest.raises(dwindle.IoError, match=r"absent.npz"):
        feeds(model, tmp_path / "absent.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(dwindle.BadData, match="empty"):
        feeds(model, tmp_path / "empty")
    (tmp_path / "d.csv").write_text("1,2")
    with pytest.raises(dwindle.BadData, match=r"d.csv"):
        feeds(model, tmp_path / "d.csv")
    with pytest.raises(dwindle.BadOption, match="folder of images"):
        feeds(model, {"x": samples(1)}, mean=[1.0])
    with pytest.raises(TypeError, match="get_next"):
        feeds(model, 5)
    with pytest.raises(dwindle.BadData, match="dict"):
        feeds(model, [3])


# ---- Images ------------------------------------------------------------------------------------


def image_model(*shape, dtype=np.float32):
    return make_identity(x=(dtype, list(shape)))


@pytest.fixture
def images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (5, 5, 6, 3), dtype=np.uint8)
    folder = tmp_path / "images"
    folder.mkdir()
    for label, picture in zip((7, 0, 3, 9, 2), pixels, strict=True):
        image.fromarray(picture).save(folder / f"{label:03}_p.png")
    order = np.argsort((7, 0, 3, 9, 2))
    return folder, pixels[order].astype(np.float32), np.array([0, 2, 3, 7, 9])


def test_images(images):
    folder, pixels, labels = images
    got = feeds(image_model("N", 3, 5, 6), folder)
    np.testing.assert_array_equal(joined(got), pixels.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(got[0][1], labels)
    got = feeds(image_model(2, 5, 6, 3), folder, mean=127, std=[1, 2, 4])
    assert counts(got) == [(2, 2), (2, 2), (2, 1)]
    want = (pixels - np.float32(127)) / np.array([1, 2, 4], np.float32)
    np.testing.assert_array_equal(joined(got), want)
    got = feeds(image_model("N", "H", "W", "C"), folder, layout="nhwc")
    np.testing.assert_array_equal(joined(got), pixels)
    got = feeds(image_model("N", 5, 6, 3, dtype=np.uint8), folder)
    np.testing.assert_array_equal(joined(got), pixels)
    (got, *_) = feeds(image_model("N", 3, 5, 6, dtype=ml_dtypes.bfloat16), folder, std=3)
    want = (pixels / np.float32(3)).transpose(0, 3, 1, 2).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(got[0]["x"], want)
    gray = joined(feeds(image_model("N", 1, 5, 6), folder))
    assert gray.shape == (5, 1, 5, 6)
    assert np.abs(gray[:, 0] - pixels @ np.float32([0.299, 0.587, 0.114])).max() < 2


def test_images_of_changing_size(images):
    folder, _, _ = images
    pil = pytest.importorskip("PIL.Image")
    pil.new("RGB", (5, 7)).save(folder / "004.png")
    got = feeds(image_model("N", 3, "H", "W"), folder)
    assert [inputs["x"].shape for inputs, _, _ in got] == [(3, 3, 5, 6), (1, 3, 7, 5), (2, 3, 5, 6)]
    with pytest.raises(dwindle.BadData, match=r"004.png has 7 rows and 5 columns.*5,6"):
        feeds(image_model("N", 3, 5, 6), folder)


def test_numbered_frames_are_no_classes(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    for i in range(3):
        pil.new("RGB", (6, 5)).save(tmp_path / f"{i:04}.png")
    model = image_model("N", 3, 5, 6)
    assert feeds(model, tmp_path)[0][1] is None
    assert feeds(model, tmp_path, labels="name")[0][1].tolist() == [0, 1, 2]
    pil.new("RGB", (6, 5)).save(tmp_path / "cat.png")
    with pytest.raises(dwindle.BadData, match=r"cat.png"):
        feeds(model, tmp_path, labels="name")


def test_bad_images(images, tmp_path):
    folder, _, _ = images
    with pytest.raises(dwindle.BadOption, match="nchw or nhwc"):
        feeds(image_model("N", "A", "B", "C"), folder)
    with pytest.raises(dwindle.BadOption, match="mean has 2 values"):
        feeds(image_model("N", 3, 5, 6), folder, mean=[1, 2])
    with pytest.raises(dwindle.BadOption, match="uint8"):
        feeds(image_model("N", 3, 4, 6, dtype=np.uint8), folder, std=2)
    with pytest.raises(dwindle.BadOption, match="std is 0"):
        feeds(image_model("N", 3, 5, 6), folder, std=0)
    with pytest.raises(dwindle.BadData, match="four axes"):
        feeds(image_model("N", 72), folder)
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff junk")
    with pytest.raises(dwindle.BadData, match=r"bad.jpg"):
        feeds(image_model("N", 3, 5, 6), folder)


def test_jpegs_are_close_to_pillow(tmp_path):
    """stb and libjpeg round differently, by a few of 255."""
    pil = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    pil.fromarray(smooth).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    want = np.asarray(pil.open(tmp_path / "a.jpg"), np.float32)
    got = feeds(image_model("N", 32, 32, 3), tmp_path)[0][0]["x"][0]
    assert np.abs(got - want).max() <= 4
