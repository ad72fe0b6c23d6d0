"""The site builds without a warning, its links have ends, and nothing public is missing on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import chromium
import corewise
import corewise.threadpoolctl
import pytest
from playwright.sync_api import Browser
from screens import picture
from sphinx.util.inventory import InventoryFile

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "site"


@pytest.fixture(scope="module", autouse=True)
def site() -> Path:
    shutil.rmtree(SITE, ignore_errors=True)
    built = subprocess.run([ROOT / "tools" / "site.sh"], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return SITE


class Page(HTMLParser):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {"", "top"}
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def test_every_link_has_an_end(site: Path) -> None:
    pages = {file: Page(file) for file in site.rglob("*.html")}
    assert len(pages) > 30
    loose = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            anchors = pages[target].anchors if target in pages else {parts.fragment}
            if not target.is_file() or unquote(parts.fragment) not in anchors:
                loose.append(f"{file.relative_to(site)}: {link}")
    assert loose == []


@pytest.fixture(scope="module")
def names(site: Path) -> dict[str, set[str]]:
    """What the reference describes, by domain and kind."""
    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    return {kind: set(entries) for kind, entries in inventory.items()}


def of_domain(names: dict[str, set[str]], domain: str) -> set[str]:
    return {name for kind, some in names.items() if kind.startswith(f"{domain}:") for name in some}


def test_all_of_python_is_described(names: dict[str, set[str]]) -> None:
    told = of_domain(names, "py")
    public = set(corewise.__all__) - {"__version__", "dask", "sklearn", "threadpoolctl"}
    assert {f"corewise.{name}" for name in public} - told == set()
    dropin = {f"corewise.threadpoolctl.{name}" for name in corewise.threadpoolctl.__all__}
    assert dropin - told == set()
    assert {"corewise.sklearn.Limited", "corewise.dask.Plugin", "corewise.Pool.threads"} <= told


def test_all_of_c_is_described(names: dict[str, set[str]]) -> None:
    header = (ROOT / "include" / "corewise.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    public = set(re.findall(r"\b(?:cw_\w+(?=\()|CW_[A-Z_]+(?= =)|cw_\w+(?=;))", code))
    public -= set(re.findall(r"struct cw_\w+ (cw_\w+);", code))
    assert len(public) > 60
    told = {name.split(".")[-1] for name in of_domain(names, "c")}
    assert public - told == set()


def test_all_of_cpp_is_described(names: dict[str, set[str]]) -> None:
    header = (ROOT / "include" / "corewise.hpp").read_text()
    header = re.sub(r"/// @cond.*?/// @endcond", "", header, flags=re.S)
    public = set(re.findall(r"^(?:class|struct)(?: \[\[nodiscard\]\])? (\w+)", header, re.M))
    public |= set(re.findall(r"^inline [\w:<>]+ (\w+)\(", header, re.M))
    assert len(public) > 15
    assert {f"corewise::{name}" for name in public} - of_domain(names, "cpp") == set()


def test_every_option_can_be_linked_to(names: dict[str, set[str]]) -> None:
    assert {"corewise-run.--budget", "corewise-limit.--pid", "corewise-info.-i"} <= names[
        "std:cmdoption"
    ]


def test_the_table_of_threadpoolctl_is_complete() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    table = (ROOT / "docs" / "migration.md").read_text()
    kinds = (threadpoolctl.ThreadpoolController, threadpoolctl.threadpool_limits)
    members = {name for kind in kinds for name in dir(kind) if not name.startswith("_")}
    named = {
        name
        for name, thing in vars(threadpoolctl).items()
        if getattr(thing, "__module__", None) == "threadpoolctl" and not name.startswith("_")
    }
    keys = {key for entry in threadpoolctl.threadpool_info() for key in entry}
    words = set(re.findall(r"\w+", table))
    assert (members | named | keys | set(threadpoolctl.__all__)) - words == set()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from chromium.started()


def test_no_page_is_wider_than_its_screen(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    wide = []
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri(), wait_until="domcontentloaded")
        for width in (1200, 400):
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate("document.scrollingElement.scrollWidth") > width:
                wide.append(f"{file.relative_to(site)} at {width}")
    assert wide == []


def test_the_search_finds(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    for words, title in (("caller slots", "crash"), ("cw_limits_open", "C"), ("overcommit", "C")):
        page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
        page.locator("ul.search li").first.wait_for()
        found = page.locator("ul.search li a").all_inner_texts()
        assert any(title in text for text in found), found
    picture(page, "site-search")
