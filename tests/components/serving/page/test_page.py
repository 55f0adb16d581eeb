"""The page, opened from a file in a real browser."""

import base64
import io
import json
import time

import numpy as np
import pytest
from PIL import Image, ImageSequence
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from components.serving import page
from components.serving.contract import row_seeds

# Of every canvas that a selector finds, its pixels as PNG.
PIXELS = """
return [...document.querySelectorAll(arguments[0])].map(canvas => canvas.toDataURL().split(',')[1]);
"""
SETTLED = """
const problem = document.getElementById('problem');
return !problem.hidden || (document.getElementById('grid').ariaBusy === 'false'
  && document.getElementById('picture').width === arguments[0]);
"""
# As if the reader followed a link; the number makes it differ from the last one.
FOLLOW = """
delete document.documentElement.dataset.theme;
addEventListener('hashchange', () => setTimeout(arguments[2]), {once: true});
location.hash = `${arguments[0] || '#'}&again=${arguments[1]}`;
"""
SECONDS = 60


class Opened:
    """A page in the browser."""

    def __init__(self, browser, path, shape):
        self.browser = browser
        self.path = path
        self.shape = shape

    def open(self, fragment=""):
        """Opens the file anew; of one that is open already, another address of the same page."""
        if self.browser.current_url.split("#")[0] == self.path.as_uri():
            self.browser.execute_async_script(FOLLOW, fragment, time.monotonic_ns())
            return self.settle()
        self.browser.get("about:blank")
        self.browser.get(self.path.as_uri() + fragment)
        self.settle()
        return self

    def settle(self):
        wait(lambda: self.browser.execute_script(SETTLED, self.shape[1]))
        return self

    def pixels(self, selector="#grid canvas"):
        """What canvases show, as images of the generator's channels."""
        found = self.browser.execute_script(PIXELS, selector)
        files = [io.BytesIO(base64.b64decode(each)) for each in found]
        images = np.array([Image.open(file).convert("RGBA") for file in files])
        return images[..., {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[self.shape[2]]]

    def picture(self):
        return self.pixels("#picture")

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def move(self, selector, value):
        """Sets a control, as a reader does with the pointer."""
        self.browser.execute_script(
            "arguments[0].value = arguments[1];"
            "for (const name of ['input', 'change'])"
            "  arguments[0].dispatchEvent(new Event(name, {bubbles: true}));",
            self.find(selector),
            value,
        )
        return self.settle()

    @property
    def problem(self):
        return self.find("#problem").text

    def fragment(self):
        return self.browser.execute_script("return location.hash")


def wait(condition, reason="the page"):
    """Until a condition holds; returns it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{reason} was not ready within {SECONDS} s")


def near(one, other):
    return one.shape == other.shape and np.abs(one.astype(int) - other.astype(int)).max() <= 1


@pytest.fixture(scope="session")
def downloads(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloads")
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    return folder


@pytest.fixture(scope="session")
def opened(browser, made, tmp_path_factory):
    """Opens the page of a generator."""
    written = {}

    def open_page(name, fragment="", *, classes=False, screen=(1280, 900), dark=False, **further):
        generator = made(name, classes=classes)
        key = (name, classes)
        if further or key not in written:
            written[key] = tmp_path_factory.mktemp("a page") / "générateur.html"
            text = page.render(generator.onnx, generator.generator.description, **further)
            written[key].write_text(text, encoding="utf-8")
        wide, high = screen
        size = {"width": wide, "height": high, "mobile": wide < 500, "deviceScaleFactor": 1}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})
        shape = generator.generator.description["shape"]
        path = written.pop(key) if further else written[key]
        return Opened(browser, path, shape).open(fragment)

    return open_page


CASES = [
    ("grey", False, 0, None, 1.0),
    ("grey", True, 7, None, 0.7),
    ("colour", True, -(2**31), 2, 1.0),
    ("colour", False, 2**31 - 1, None, 0.25),
    ("large", False, 12, None, 1.0),
    ("grey and alpha", False, 1, None, 1.0),
]


@pytest.mark.parametrize(("name", "classes", "seed", "label", "truncation"), CASES)
def test_it_shows_the_samples_of_python(opened, made, name, classes, seed, label, truncation):
    chosen = "" if label is None else f"&class={label}"
    shown = opened(name, f"#seed={seed}&truncation={truncation}{chosen}", classes=classes)

    generator = made(name, classes=classes).generator
    labels = None if label is None else np.full(64, label)
    expected = generator.sample(row_seeds(seed, 64), labels, truncation)
    found = shown.pixels()
    if name == "grey and alpha":
        # A canvas rounds colours to the alpha that they have.
        found, expected = found[..., 1:], expected[..., 1:]
    assert near(found, expected)
    assert near(shown.picture()[..., -1:], expected[:1, ..., -1:])


def test_it_asks_nobody_and_has_nothing_to_complain(opened, browser):
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    shown = opened("colour", classes=True)
    shown.find("input[value=morph]").send_keys(Keys.SPACE)
    wait(lambda: shown.find("#gif").is_enabled())

    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    fetched = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    # The browser's own pages may still be loading; the worker is the page's own.
    own = ("data:", "chrome:", "about:", "blob:")
    assert {url for url in fetched if not url.startswith(own)} == {shown.path.as_uri()}
    assert browser.get_log("browser") == []


def test_controls_change_the_images_and_the_link(opened, made):
    shown = opened("grey", classes=True)
    generator = made("grey", classes=True).generator
    assert near(shown.pixels(), generator.sample(row_seeds(0, 64)))
    options = shown.browser.find_elements(By.CSS_SELECTOR, "#class option")
    assert [each.text for each in options] == [
        "As in the data",
        "cat",
        "</script><b>dog",
        "ewe & lamb",
    ]

    shown.move("#class", "3")
    assert near(shown.pixels(), generator.sample(row_seeds(0, 64), np.full(64, 3)))
    shown.move("#truncation", "0.5")
    assert near(shown.pixels(), generator.sample(row_seeds(0, 64), np.full(64, 3), 0.5))
    shown.find("#next").click()
    shown.settle()
    expected = generator.sample(row_seeds(1, 64), np.full(64, 3), 0.5)
    assert near(shown.pixels(), expected)
    wait(lambda: shown.fragment() == "#seed=1&class=3&truncation=0.5")
    # The link shows the same in a new window.
    link = shown.fragment()
    shown.browser.get("about:blank")
    assert near(shown.open(link).pixels(), expected)
    shown.find("#shuffle").click()
    assert not near(shown.settle().pixels(), expected)


def test_the_last_of_many_changes_is_what_is_shown(opened, made):
    shown = opened("large")
    # Faster than the network can follow.
    shown.browser.execute_script("""
        const slider = document.getElementById('truncation');
        for (let step = 100; step >= 20; step -= 2) {
          slider.value = step / 100;
          slider.dispatchEvent(new Event('input'));
          document.getElementById(step % 4 ? 'next' : 'previous').click();
        }
        document.querySelectorAll('.tile')[7].click();
    """)
    seed = int(shown.settle().find("#seed").get_attribute("value"))

    expected = made("large").generator.sample(row_seeds(seed, 64), truncation=0.2)
    assert near(shown.pixels(), expected)
    wait(lambda: near(shown.picture(), expected[7:8]))


def test_what_is_copied_is_said(opened):
    shown = opened("grey")
    for button in ("#copy", "#share"):
        shown.browser.execute_script("document.getElementById('toast').textContent = ''")
        shown.find(button).click()
        wait(lambda: "cop" in shown.find("#toast").text.lower())


def test_a_link_that_nobody_made_shows_the_default(opened, made):
    shown = opened(
        "grey", "#seed=1e99&class=1&truncation=2&image=64&mode=fly&x=NaN&&==", classes=True
    )

    assert near(shown.pixels(), made("grey", classes=True).generator.sample(row_seeds(0, 64)))
    assert shown.find("#seed").get_attribute("value") == "0"


def test_the_picked_image_is_walked_by_pointer_and_keys(opened, made):
    shown = opened("grey")
    samples = made("grey").generator.sample(row_seeds(0, 64))
    shown.browser.find_elements(By.CSS_SELECTOR, ".tile")[10].click()
    wait(lambda: near(shown.picture(), samples[10:11]))
    assert shown.find("#picked-seed").text == "10"

    stage = shown.find("#stage")
    ActionChains(shown.browser).drag_and_drop_by_offset(stage, 90, -40).perform()
    wait(lambda: not near(shown.picture(), samples[10:11]))
    fragment = wait(lambda: "x=" in shown.fragment() and shown.fragment())
    dragged = shown.picture()
    shown.find("#reset").click()
    wait(lambda: near(shown.picture(), samples[10:11]))
    shown.open(fragment)
    wait(lambda: np.abs(shown.picture().astype(int) - dragged).max() <= 2)

    stage = shown.find("#stage")
    stage.send_keys(Keys.HOME)
    wait(lambda: near(shown.picture(), samples[10:11]))
    stage.send_keys(Keys.ARROW_LEFT)
    wait(lambda: not near(shown.picture(), samples[10:11]))
    stage.send_keys(Keys.ARROW_RIGHT)
    wait(lambda: near(shown.picture(), samples[10:11]))


def test_the_grid_is_walked_by_keys(opened):
    shown = opened("grey")
    first, *_, last = shown.browser.find_elements(By.CSS_SELECTOR, ".tile")
    first.send_keys(Keys.ARROW_DOWN + Keys.NULL)
    assert shown.find("#picked-seed").text == "8"
    shown.browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert shown.browser.switch_to.active_element.get_attribute("aria-selected") == "true"
    assert shown.find("#picked-seed").text == "9"
    shown.browser.switch_to.active_element.send_keys(Keys.END)
    assert shown.browser.switch_to.active_element == last
    last.send_keys(Keys.ARROW_RIGHT)
    assert shown.find("#picked-seed").text == "63"


def test_a_morph_runs_between_the_picked_images(opened, made):
    shown = opened("colour", "#mode=morph&image=3&to=5&at=0")
    generator = made("colour").generator
    samples = generator.sample(row_seeds(0, 64))
    wait(lambda: near(shown.picture(), samples[3:4]))
    wait(lambda: shown.find("#gif").is_enabled())

    shown.move("#at", "48")
    assert near(shown.picture(), samples[5:6])
    shown.move("#at", "12")
    middle = generator(
        "interpolate",
        seeds=np.array([3]),
        end_seeds=np.array([5]),
        positions=np.array([0.25], np.float32),
    )["images"]
    assert near(shown.picture(), middle)
    # A click sets the end that is chosen.
    shown.browser.find_elements(By.CSS_SELECTOR, ".tile")[20].click()
    wait(lambda: near(shown.picture(), samples[20:21]))
    assert near(shown.pixels("#to-picture"), samples[20:21])
    shown.find("#play").click()
    wait(lambda: not near(shown.picture(), samples[20:21]))


def saved(folder, ending):
    """The file that the page has saved last, once it is whole."""
    (path,) = wait(lambda: list(folder.glob(f"*.{ending}")), f"a file .{ending}")
    content = path.read_bytes()
    path.unlink()
    return path.name, content


@pytest.mark.parametrize("name", ["grey", "grey and alpha", "colour", "colour and alpha"])
def test_a_saved_png_has_the_very_pixels(opened, made, downloads, name):
    shown = opened(name, "#seed=2&image=9")
    shown.find("#png").click()

    found, content = saved(downloads, "png")
    image = np.array(Image.open(io.BytesIO(content)))
    expected = made(name).generator.sample(row_seeds(2, 64))[9]
    assert found == "seed-2-image-9.png"
    assert near(image.reshape(expected.shape), expected)


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_a_saved_gif_goes_there_and_back(opened, made, downloads, name):
    shown = opened(name, "#mode=morph&image=3&to=5")
    wait(lambda: shown.find("#gif").is_enabled())
    shown.find("#gif").click()

    found, content = saved(downloads, "gif")
    frames = [
        frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(content)))
    ]
    samples = made(name).generator.sample(row_seeds(0, 64))
    assert found == "seed-0-image-3-5.gif"
    assert len(frames) == 96
    height, width, channels = samples.shape[1:]
    for frame, sample in [(frames[0], samples[3]), (frames[48], samples[5])]:
        assert min(frame.size) >= 256
        small = np.array(frame.resize((width, height), Image.Resampling.NEAREST))[..., :channels]
        # Colours are 256 of a palette, greys are exact.
        assert np.abs(small.astype(int) - sample).mean() < (1 if channels == 1 else 8)


def test_a_morph_is_saved_as_a_video_where_the_browser_can(opened, downloads):
    shown = opened("grey", "#mode=morph")
    wait(lambda: shown.find("#gif").is_enabled())
    if not shown.find("#video").is_displayed():
        pytest.skip("this browser records no video")
    ending = shown.find("#video").text.split()[-1].lower()
    shown.find("#video").click()

    _, content = saved(downloads, ending)
    assert content[4:8] == b"ftyp" if ending == "mp4" else content[:4] == b"\x1aE\xdf\xa3"


VIEWS = {
    "light": {"screen": (1280, 900)},
    "dark": {"screen": (1280, 900), "dark": True},
    "phone": {"screen": (360, 740)},
    "small phone": {"screen": (320, 640)},
    "wide": {"screen": (2560, 1300)},
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_it_fits_the_screen_and_its_theme(opened, view, contrasts):
    shown = opened("colour", "#mode=morph", classes=True, **view)
    script = "const e = document.documentElement; return [e.clientWidth, e.scrollWidth];"
    width, needed = shown.browser.execute_script(script)
    paper = shown.browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    assert needed <= width <= view["screen"][0]
    assert (paper == "rgb(21, 23, 26)") == view.get("dark", False)
    # What is disabled needs none.
    assert [
        each for each in contrasts() if each[1] < 4.5 and each[0] not in ("Save GIF", "Save MP4")
    ] == []
    shown.find("#theme").click()
    shown.find("#theme").click()
    assert shown.find("html").get_attribute("data-theme") == "dark"


def test_whatever_can_be_operated_has_a_name_and_a_place_in_the_order(opened):
    shown = opened("colour", classes=True)
    selector = "button, input, select, a[href], [role], summary, canvas[role]"
    operated = [
        each
        for each in shown.browser.find_elements(By.CSS_SELECTOR, selector)
        if each.is_displayed() and each.get_attribute("role") != "status"
    ]
    assert len(operated) > 80
    assert [each.get_attribute("outerHTML") for each in operated if not each.accessible_name] == []
    identifiers = shown.browser.execute_script(
        "return [...document.querySelectorAll('[id]')].map(e => e.id)"
    )
    assert len(identifiers) == len(set(identifiers))
    # One stop for 64 images.
    assert len(shown.browser.find_elements(By.CSS_SELECTOR, ".tile[tabindex='0']")) == 1


def test_it_says_what_is_known_of_the_generator(opened):
    metrics = {"FID": {"value": 13.9218, "low": 12.0, "high": 15.25}, "<i>": {"value": np.nan}}
    shown = opened("grey", classes=True, metrics=metrics, title="Cats & <b>dogs")

    about = shown.find(".about").text
    assert shown.find("h1").text == "Cats & <b>dogs"
    assert all(text in about for text in ("13.92", "12 – 15.25", "8 × 8, grey", "6 numbers"))
    shown.find("#licences summary").click()
    wait(lambda: "Microsoft Corporation" in shown.find("#licences pre").text)


def test_a_pushed_generator_shows_what_it_was_measured_with(made):
    description = made("grey").generator.description
    fid = {"value": 9.5, "low": 8.0, "high": 11.0}
    wasserstein = {"value": 30.0, "low": None, "high": None}
    scores = {"fid": {**fid, "details": {}}, "sliced_wasserstein": wasserstein}

    assert page.pushed_metrics({**description, "metrics": scores}) == {
        "FID": fid,
        "sliced wasserstein": wasserstein,
    }
    # Pushed before metrics were part of it.
    before = page.pushed_metrics({**description, "blessing": {"fid": 9.5}})
    assert before == {"FID": {"value": 9.5}}
    assert page.pushed_metrics(description) == {}


@pytest.mark.parametrize("shape", [(8, 8, 1), (20, 30, 4)])
def test_the_nearest_training_images_are_shown(opened, made, shape):
    samples = made("grey").generator.sample(row_seeds(0, 64))
    height, width, channels = shape
    # The samples themselves among others, larger and coloured too: nearest to each is its own copy.
    large = [
        np.array(Image.fromarray(each[..., 0]).resize((width, height), Image.Resampling.BOX))
        for each in samples
    ]
    images = np.repeat(np.stack(large)[..., np.newaxis], channels, -1)
    if channels == 4:
        images[..., 3] = 255
    shown = opened("grey", "#image=12", neighbours=images)

    nearest = shown.find("#nearest-images canvas")
    assert nearest.accessible_name.startswith("Training image 13, correlation ")
    assert float(nearest.accessible_name.split()[-1]) > (0.99 if shape == (8, 8, 1) else 0.8)
    shown.browser.find_elements(By.CSS_SELECTOR, ".tile")[40].click()
    wait(lambda: nearest.accessible_name.startswith("Training image 41, "))
    assert len(shown.browser.find_elements(By.CSS_SELECTOR, "#nearest-images canvas")) == 4


@pytest.mark.parametrize(
    "images",
    [np.zeros((0, 8, 8, 1), np.uint8), np.zeros((3, 8, 8, 1)), np.zeros((3, 8, 8), np.uint8)],
)
def test_neighbours_that_are_no_images_are_refused(made, images):
    generator = made("grey")

    with pytest.raises(ValueError, match="neighbours: expected images uint8"):
        page.render(generator.onnx, generator.generator.description, neighbours=images)


BROKEN = {
    "empty file": (lambda text: text[: text.index('id="runtime"')], "incomplete"),
    "cut off": (lambda text: text[: text.index('id="runtime"') + 1000], "incomplete"),
    "cut at the end": (lambda text: text[:-200], "incomplete"),
}


@pytest.mark.parametrize("change", BROKEN)
def test_a_file_that_was_cut_off_says_so(browser, made, tmp_path, change):
    generator = made("grey")
    text = page.render(generator.onnx, generator.generator.description)
    cut, words = BROKEN[change]
    path = tmp_path / "page.html"
    path.write_text(cut(text))

    shown = Opened(browser, path, (8, 8, 1)).open()

    assert words in shown.problem
    assert not shown.find("main").is_displayed()


@pytest.mark.parametrize("what", ["not a model", "of another generator", "of other classes"])
def test_a_model_that_cannot_run_says_so(browser, made, tmp_path, what):
    generator = made("grey")
    onnx = {
        "not a model": b"junk" * 100,
        "of another generator": generator.onnx[: len(generator.onnx) // 2],
        "of other classes": made("grey", classes=True).onnx,
    }[what]
    path = tmp_path / "page.html"
    path.write_text(page.render(onnx, generator.generator.description))

    shown = Opened(browser, path, (8, 8, 1)).open()

    assert "The model in this page cannot run" in shown.problem
    assert len(shown.problem) < 500


@pytest.mark.parametrize("name", ["DecompressionStream", "WebAssembly", "Worker"])
def test_a_browser_that_lacks_something_says_what(browser, made, tmp_path, name):
    generator = made("grey")
    path = tmp_path / "page.html"
    path.write_text(page.render(generator.onnx, generator.generator.description))
    script = browser.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": f"delete window.{name}"}
    )
    try:
        shown = Opened(browser, path, (8, 8, 1)).open()
        assert name.lower() in shown.problem.lower()
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": "vectors", "shape": [2]}, "rows of a table"),
        ({"shape": [8, 8, 5]}, "1 to 4 channels"),
        (None, "contract 1"),
    ],
)
def test_what_no_page_can_show_is_refused(made, change, reason):
    generator = made("grey")
    described = {} if change is None else {**generator.generator.description, **change}

    with pytest.raises(ValueError, match=reason):
        page.render(generator.onnx, described)


def test_equal_models_make_equal_pages_and_an_empty_one_none(made):
    generator = made("grey")
    description = generator.generator.description
    rendered = page.render(generator.onnx, description)

    assert rendered == page.render(generator.onnx, description)
    assert "<b>dog" not in page.render(
        made("grey", classes=True).onnx, {**description, "x": "<b>dog"}
    )
    with pytest.raises(ValueError, match="is empty"):
        page.render(b"", description)
