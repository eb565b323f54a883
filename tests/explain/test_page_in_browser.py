"""The page in headless Chromium: what the mouse and the keyboard do, what is on paper, and no error on the console.

Needs the programs chromium and chromedriver (Debian's packages chromium and chromium-driver).
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tensorflow_lite_bp.explain.derivation import Derivation
from tensorflow_lite_bp.explain.explanation import explain
from tensorflow_lite_bp.explain.forms import FORMS
from tensorflow_lite_bp.explain.notation import notation, notations
from tensorflow_lite_bp.explain.page.content import Content
from tensorflow_lite_bp.explain.page.drawing import vertices
from tensorflow_lite_bp.explain.page.html import page
from tensorflow_lite_bp.explain.page.markup import html
from tensorflow_lite_bp.explain.translate import View
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.table import checked

pytest.importorskip("selenium", reason="the page is tried in a browser where selenium is installed")
missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"the page is tried in a browser where there is {missing}")

EXAMPLES = Path(__file__).parents[2] / "examples"

SAME = """
const [address, expected, done] = arguments;
const template = document.createElement("template");
template.innerHTML = expected;
location.hash = address;
const look = left => {
  const shown = document.getElementById("derivation").cloneNode(true);
  shown.normalize(); // texts side by side are one
  const same = shown.isEqualNode(template.content.firstChild);
  if (same || left === 0) done(same);
  else setTimeout(look, 20, left - 1);
};
setTimeout(look, 0, 250);
"""
"""Whether the page comes to show what the browser makes of a text."""


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1280,900"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield made
    made.quit()


class Page:
    """A network's page in the browser."""

    def __init__(self, driver: Any, name: str, folder: Path) -> None:
        self.driver = driver
        self.derivation = Derivation(Graph(checked(str(EXAMPLES / f"{name}.net"))))
        self.file = folder / "page.html"
        self.write("")

    def write(self, node: str) -> None:
        text = page(self.derivation, View(notation("columns")), form="matrix", lang="en", node=node)
        self.file.write_text(text, encoding="utf-8")

    def open(self, address: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{self.file.as_uri()}#{address}")

    def run(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def until(self, script: str) -> None:
        """Waits until an expression holds."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 10, 0.02).until(lambda driver: driver.execute_script(f"return {script}"), script)

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def headings(self) -> list[str]:
        """The names above what is shown."""
        return [each.text for each in self.all("article h3") if each.is_displayed() and each.size["height"] > 1]

    def current(self) -> list[str]:
        return [each.get_attribute("data-vertex") for each in self.all(".vertex[aria-current]")]

    def choose(self, name: str, value: str) -> None:
        self.all(f"input[name={name}][value={value}]")[0].click()


@pytest.fixture
def columns(driver: Any, tmp_path: Path) -> Iterator[Page]:
    made = Page(driver, "articles/columns", tmp_path)
    made.open()
    yield made
    assert driver.get_log("browser") == []


def test_it_opens_with_the_whole_derivation(columns: Page) -> None:
    assert columns.headings() == [
        *("X", "t", "y1.add", "a1.tanh", "y2.add", "a2.tanh", "y3.add", "a3.sigmoid", "E"),
        *("a3.sigmoid", "y3.add", "a2.tanh", "y2.add", "a1.tanh", "y1.add", "X"),
    ]


def test_a_click_shows_one_node(columns: Page) -> None:
    columns.all(".vertex")[4].click()
    columns.until("document.body.classList.contains('single')")
    assert columns.headings() == ["y2.add"]
    assert columns.current() == ["4"]
    near = [edge.get_attribute("data-from") + edge.get_attribute("data-to") for edge in columns.all(".edges .near")]
    assert near == ["34", "45"]
    assert columns.run("return location.hash") == "#node=y2.add"
    assert columns.all("#status")[0].get_attribute("textContent") == "y2.add"
    columns.all("#forward-4 .facts a")[0].click()  # where it comes from
    columns.until("location.hash === '#node=a1.tanh'")
    columns.all(".all a")[0].click()
    columns.until("!document.body.classList.contains('single')")
    assert len(columns.headings()) == 16


def test_the_keyboard_goes_along_the_graph(columns: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    columns.run("document.querySelector('.vertex').focus()")
    columns.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    columns.until("document.querySelector('[aria-current]')?.dataset.vertex === '3'")
    assert columns.headings() == ["a1.tanh"]
    focused = "return document.activeElement.dataset.vertex"
    assert columns.run(focused) == "3"
    columns.press(Keys.ARROW_UP)
    assert columns.run(focused) == "2"
    columns.press(Keys.END)
    assert columns.run(focused) == "8"
    columns.press(Keys.ARROW_UP, Keys.ARROW_LEFT)
    assert columns.run(focused) in ("1", "7")
    columns.press(Keys.HOME, Keys.ESCAPE)
    columns.until("!document.querySelector('[aria-current]')")
    assert [each.get_attribute("tabindex") for each in columns.all(".vertex")].count("0") == 1


def test_notation_form_and_language_are_switched(columns: Page) -> None:
    columns.all(".vertex")[4].click()
    columns.choose("notation", "rows")
    columns.until("document.querySelector('#derivation').textContent.includes('Samples are rows')")
    assert columns.headings() == ["y2.add"]
    assert columns.all(".vertex .shape")[4].text == "m×3"
    columns.choose("form", "components")
    columns.until("document.querySelector('article:not([hidden]) msubsup, article:not([hidden]) munder mo')")
    columns.choose("lang", "zh")
    columns.until("document.documentElement.lang === 'zh'")
    assert columns.all("#forward")[0].get_attribute("textContent") == "前向传播"
    assert columns.all("legend")[0].text == "记号"
    assert columns.run("return location.hash") == "#node=y2.add&notation=rows&form=components&lang=zh"
    columns.driver.back()
    columns.until("document.documentElement.lang === 'en'")
    assert columns.all("input[value=en]")[0].is_selected()


def test_an_address_opens_what_it_says(columns: Page) -> None:
    columns.open("node=a3.sigmoid&notation=layers&lang=zh")
    columns.until("document.querySelector('#derivation').textContent.includes('δ')")
    assert columns.headings() == ["a3.sigmoid"]
    columns.open("node=nobody&notation=none&form=no&lang=no")
    columns.until("document.documentElement.lang === 'en'")
    assert len(columns.headings()) == 16


def test_it_can_open_with_one_node(columns: Page) -> None:
    columns.write("a2.tanh")
    columns.open()
    columns.until("document.body.classList.contains('single')")
    assert columns.headings() == ["a2.tanh"]
    columns.all(".all a")[0].click()
    columns.until("!document.body.classList.contains('single')")
    assert len(columns.headings()) == 16


def test_what_cannot_be_shown_cannot_be_chosen(driver: Any, tmp_path: Path) -> None:
    resnet = Page(driver, "fashion_resnet", tmp_path)
    resnet.open("notation=neurons")
    disabled = [each.get_attribute("value") for each in resnet.all("input:disabled")]
    assert disabled == ["layers", "signals", "neurons"]
    assert len(resnet.all("#refused li")) == 3
    assert resnet.all("input[value=columns]")[0].is_selected()
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("name", ["articles/columns", "siamese"])
def test_the_script_builds_what_python_writes(driver: Any, tmp_path: Path, name: str) -> None:
    """Every view, node by node: so the MathML of the page is that of `mathml`."""
    shown = Page(driver, name, tmp_path)
    shown.open()
    places = vertices(shown.derivation)
    for book in notations().values():
        for form in FORMS:
            if (book.layout, form) == ("numerator", "differentials"):
                continue
            made = Content(explain(shown.derivation, View(book), form), places, None, {})
            for lang in ("en", "zh"):
                address = f"notation={book.name}&form={form}&lang={lang}"
                assert driver.execute_async_script(SAME, address, html(made.markup(lang))), address
    assert driver.get_log("browser") == []


def test_paper_has_everything(columns: Page) -> None:
    columns.all(".vertex")[4].click()
    columns.until("document.body.classList.contains('single')")
    columns.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert len(columns.headings()) == 16
        assert not columns.all("form")[0].is_displayed()
    finally:
        columns.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    printed = base64.b64decode(columns.driver.print_page())
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 20_000


def test_without_a_script_the_derivation_is_there(driver: Any, tmp_path: Path) -> None:
    shown = Page(driver, "articles/columns", tmp_path)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        shown.open()
        assert len(shown.headings()) == 16
        assert not shown.all("form")[0].is_displayed()
        shown.all(".vertex")[8].click()
        assert shown.driver.current_url.endswith("#forward-8")
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_sticks_out(columns: Page, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    columns.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert columns.run("return document.documentElement.scrollWidth") <= width
    finally:
        columns.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_the_paper(columns: Page, scheme: str) -> None:
    """WCAG AA: a contrast of 4.5 for every text colour on every ground that it stands on."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    columns.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        names = ("paper", "panel", "tint", "ink", "soft", "accent")
        style = "getComputedStyle(document.documentElement)"
        found = {name: columns.run(f"return {style}.getPropertyValue('--{name}').trim()") for name in names}
    finally:
        columns.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    pairs = [(text, ground) for text in ("ink", "soft") for ground in ("paper", "panel", "tint")]
    for text, ground in [*pairs, ("accent", "paper"), ("paper", "accent")]:
        assert contrast(found[text], found[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
