import os
import shutil

# Before any test imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tensorflow as tf

# For the tests of replicas; what names no device runs on the first. It must be said before anything
# is computed, so it is said to all tests.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


class _Copier(tf.Module):
    def __init__(self, known, noise, columns):
        super().__init__()
        self.known = tf.Variable(known)
        self.noise = noise
        self.names = list(columns)

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32, name="count"),
            tf.TensorSpec([], tf.int64, name="seed"),
        ]
    )
    def sample(self, count, seed):
        seeds = tf.stack([seed, 0])
        chosen = tf.random.stateless_uniform([count], seeds, 0, len(self.known), tf.int32)
        data = tf.gather(self.known, chosen)
        if len(data.shape) == 2:
            return {"vectors": data}
        noise = tf.random.stateless_uniform(tf.shape(data), seeds, 0.0, 255.0)
        mixed = (1 - self.noise) * tf.cast(data, tf.float32) + self.noise * noise
        return {"images": tf.cast(tf.round(mixed), tf.uint8)}

    @tf.function(input_signature=[])
    def columns(self):
        return {"names": tf.constant(self.names)}


@pytest.fixture(scope="session")
def save_copier():
    """Exports a generator of data it knows; `noise`: 0 is none, 1 is nothing but noise."""

    def save(known, path, noise=0.0, columns=()):
        module = _Copier(known, noise, columns)
        signatures = {"sample": module.sample}
        if columns:
            signatures["columns"] = module.columns
        tf.saved_model.save(module, str(path), signatures=signatures)
        return str(path)

    return save


_BROWSER_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One headless Chromium for all tests, which logs what its pages say and fetch."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        reason = "no chromium and chromedriver on PATH: apt install chromium chromium-driver"
        if os.environ.get("CI") == "true" or os.environ.get("TFX_GAN_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield found
    found.quit()


# The colours of a text and of what is behind it, and their contrast ratio (WCAG 2.2, 1.4.3).
_CONTRASTS = """
const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => [r, g, b]
  .map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = numbers(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
return [...document.body.querySelectorAll('*')]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
  .filter(e => e.checkVisibility() && e.tagName !== 'style')
  .map(e => {
    const style = getComputedStyle(e);
    const ink = luminance(numbers(e.namespaceURI.includes('svg') ? style.fill : style.color));
    const paper = luminance(behind(e));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    return [e.textContent.trim(), ratio];
  });
"""


@pytest.fixture(scope="session")
def contrasts(browser):
    """Gives the texts of the page that is open, with their contrasts."""
    return lambda: browser.execute_script(_CONTRASTS)
