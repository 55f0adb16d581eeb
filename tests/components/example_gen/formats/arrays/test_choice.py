"""Which arrays are images, by their names and shapes."""

import numpy as np
import pytest

from components.example_gen.formats.arrays.array import Array
from components.example_gen.formats.arrays.choice import IMAGE, STACK, choose

N = 60


def npz(objects=(), **shapes):
    return [
        Array(
            "d.npz",
            key,
            shape,
            np.dtype(object if key in objects else np.uint8),
            "Python objects" if key in objects else None,
        )
        for key, shape in shapes.items()
    ]


def npy(**shapes):
    """NPY files; `__` stands for a folder."""
    return [
        Array(f"{name.replace('__', '/')}.npy", "", shape, np.dtype(np.uint8))
        for name, shape in shapes.items()
    ]


def numbered(count, shape, start="img_"):
    return npy(**{f"{start}{index:03d}": shape for index in range(count)})


# Arrays, the names of those that are images, and how; `...` for all.
CHOSEN = {
    "images beside masks": (
        npz(images=(N, 28, 28, 3), masks=(N, 28, 28, 3), labels=(N,)),
        ["images"],
        STACK,
    ),
    "masks of three axes": (npz(img=(N, 8, 8, 1), mask=(N, 8, 8)), ["img"], STACK),
    "masks called image_masks": (
        npz(images=(N, 8, 8), image_masks=(N, 8, 8)),
        ["images"],
        STACK,
    ),
    "another name beside masks": (npz(pictures=(N, 8, 8), masks=(N, 8, 8)), ["pictures"], STACK),
    "labels of three axes": (npz(x=(N, 8, 8), y=(N, 8, 8)), ["x"], STACK),
    "a mean image": (npz(images=(N, 8, 8, 3), mean_image=(8, 8, 3)), ["images"], STACK),
    "scikit-learn's digits": (
        npz(data=(N, 64), images=(N, 8, 8), target=(N,)),
        ["images"],
        STACK,
    ),
    "splits": (
        npz(x_train=(N, 8, 8), x_test=(9, 8, 8), y_train=(N,)),
        ["x_train", "x_test"],
        STACK,
    ),
    "only splits": (npz(train=(N, 8, 8), t10k=(9, 8, 8)), ["train", "t10k"], STACK),
    "numbered stacks": (numbered(5, (N, 8, 8), "images_"), ..., STACK),
    "stacks in folders": (npy(a__images=(N, 8, 8), b__images=(N, 8, 8)), ..., STACK),
    "an unrelated object": (
        npz(objects=["names"], images=(N, 8, 8), names=(N,)),
        ["images"],
        STACK,
    ),
    "one image a file": (numbered(20, (32, 32, 3)), ..., IMAGE),
    "one gray image a file": (numbered(20, (32, 32)), ..., IMAGE),
    "one image a file with a last axis of 1": (numbered(20, (32, 32, 1)), ..., IMAGE),
    "one image a file of any name": (
        npy(cat=(9, 9, 3), dog=(9, 8, 4), a1b2=(7, 9, 3)),
        ...,
        IMAGE,
    ),
    "gray and colour": (numbered(3, (9, 9)) + numbered(3, (9, 9, 3), "rgb_"), ..., IMAGE),
    "one image an array": (npz(**{f"arr_{index}": (9, 9, 3) for index in range(9)}), ..., IMAGE),
    "one image a file beside labels": (
        numbered(20, (9, 9)) + npy(labels=(20, 1)),
        [f"img_{index:03d}" for index in range(20)],
        IMAGE,
    ),
}


@pytest.mark.parametrize(("arrays", "names", "how"), CHOSEN.values(), ids=CHOSEN)
def test_the_arrays_that_are_images(arrays, names, how):
    found, told = choose(arrays, {}, None, "data")
    names = [array.name for array in arrays] if names is ... else names
    assert ([array.name for array in found], told) == (names, how)


# Arrays, and the error.
REFUSED = {
    "two candidates": (
        npz(a=(N, 8, 8, 3), b=(N, 8, 8, 3)),
        r"2 arrays could be images: d\.npz#a \[60, 8, 8, 3\], d\.npz#b .*data\.features\.image",
    ),
    "two of the usual names": (npz(images=(N, 8, 8), data=(N, 9, 9)), "2 arrays could be images"),
    "stacks of two kinds": (
        npy(images_left=(N, 8, 8), images_right=(N, 8, 8)),
        r"2 arrays could be images: .*data\.arrays: stack",
    ),
    "two of no name": (npz(arr_0=(N, 8, 8), arr_1=(N, 8, 8)), "2 arrays could be images"),
    "a single picture": (
        npz(photo=(28, 28, 3)),
        r"#photo \[28, 28, 3\]: either one image .*data\.arrays: image.*, or 28 gray images of "
        r"28x3 each \(data\.arrays: stack\)",
    ),
    "two pictures": (numbered(2, (28, 28, 3)), "2 arrays such as img_000.npy .*either one image"),
    "rows of pixels": (
        npy(x_train=(N, 784), x_val=(9, 784), x_test=(9, 784)),
        "either one gray image .* or rows of pixels",
    ),
    "one array of rows": (npz(images=(N, 784)), "no array .*reshape rows of pixels to"),
    "channels first": (
        npz(images=(N, 3, 28, 28)),
        r"#images: an array \[60, 3, 28, 28\].*channels first\?",
    ),
    "channels first, one a file": (
        numbered(9, (3, 28, 28)),
        "either 3 gray images of 28x28 .* or one image each with its channels first",
    ),
    "two channels": (npz(images=(N, 28, 28, 2)), r"\[60, 28, 28, 2\].*1, 3 or 4 channels"),
    "objects": (npz(objects=["images"], images=(N,)), r"d\.npz: images: Python objects"),
    "objects beside masks": (
        npz(objects=["images"], images=(N,), masks=(N, 8, 8)),
        r"#images \(Python objects\) cannot be read as images; if d\.npz#masks .* are the images",
    ),
    "rows of pixels beside masks": (
        npz(images=(N, 64), masks=(N, 8, 8)),
        r"#images \[60, 64\] cannot be read as images",
    ),
    "nothing": ([], "no array .*; found nothing"),
    "numbers alone": (npz(a=(9,)), r"no array .*; found d\.npz#a \[9\]$"),
}


@pytest.mark.parametrize(("arrays", "message"), REFUSED.values(), ids=REFUSED)
def test_two_readings_are_an_error_that_names_them(arrays, message):
    with pytest.raises(ValueError, match=message) as caught:
        choose(arrays, {}, None, "data")
    assert "\n" not in str(caught.value)


# Arrays, features and data.arrays, the number of images chosen, and how.
DECIDED = {
    "a single picture": (npz(photo=(28, 28, 3)), {}, IMAGE, 1),
    "narrow images": (npz(photo=(28, 28, 3)), {}, STACK, 1),
    "two kinds": (npz(a=(N, 8, 8), b=(N, 8, 8)), {}, STACK, 2),
    "one of two kinds": (npz(a=(N, 8, 8), b=(N, 8, 8)), {"image": "a"}, None, 1),
    "masks, by name": (npz(images=(N, 8, 8), masks=(N, 8, 8)), {"image": "masks"}, None, 1),
    "gray stacks": (numbered(9, (3, 28, 28)), {}, STACK, 9),
    "two gray images": (numbered(2, (28, 28)), {}, IMAGE, 2),
}


@pytest.mark.parametrize(("arrays", "features", "how", "count"), DECIDED.values(), ids=DECIDED)
def test_keys_decide(arrays, features, how, count):
    found, told = choose(arrays, features, how, "data")
    assert (len(found), told) == (count, how or STACK)


def test_a_name_that_is_not_there():
    with pytest.raises(ValueError, match=r"called 'faces' \(data\.features\); found d\.npz#a"):
        choose(npz(a=(N, 8, 8)), {"image": "faces"}, None, "data")


def test_one_image_each_is_checked():
    with pytest.raises(ValueError, match=r"\[60, 8, 8\] \(data\.arrays: image\), expected"):
        choose(npz(a=(N, 8, 8)), {}, IMAGE, "data")
