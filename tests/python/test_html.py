"""What notebooks show: whole, accessible, safe, with the numbers of the text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from corewise import Budget, Finding, Findings, Info, Plan, budget, plan
from corewise._budget import Constraint
from corewise._death import Death
from corewise._plan import Level, PlannedLimit
from corewise._report import Report
from corewise._rich import Rich
from corewise._show.html import page, table, words
from corewise._show.pictures import (
    budget_cells,
    budget_words,
    listed_cpus,
    minute,
    minute_words,
    plan_boxes,
    plan_words,
    pools_bar,
    pools_key,
    pools_line,
    pools_words,
    threads_bar,
)
from test_info import LONG, UNKNOWN

EVIL = "<b>\"'&\x1b"


class Page(HTMLParser):
    """Fails on tags that are left open; keeps what else the tests need."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scopes: list[str | None] = []
        self.labels: list[str | None] = []
        self.kinds: list[str | None] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.append(dict(attrs).get("class"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))
        if tag == "svg":
            hidden = ("aria-hidden", "true") in attrs
            assert hidden != (("role", "img") in attrs)
            self.labels += [] if hidden else [dict(attrs)["aria-label"]]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        # An untrusted notebook removes pictures and styles, but not their text.
        if "svg" not in self._open:
            self.text += data
        else:
            assert not data.strip()


def a_budget(cpus: float, allowed: str, machine: int) -> Budget:
    constraints = (
        Constraint("machine", "/sys", machine, False, EVIL),
        Constraint("quota", EVIL, cpus, True, ""),
    )
    return Budget(
        cpus, max(1, int(cpus)), -(-int(cpus * 10) // 10), allowed, budget().topology,
        constraints, (EVIL,), "",
    )  # fmt: skip


def a_plan(processes: int, openmp: int, blas: int, cpus: float = 64.0) -> Plan:
    counts = {"processes": processes, "openmp": openmp, "blas": blas}
    levels = tuple(Level(name, count, EVIL) for name, count in counts.items())
    limits = (PlannedLimit(EVIL, EVIL, "blas", blas, EVIL),)
    return Plan(cpus, int(cpus), processes * openmp * blas, 0, levels, {}, limits, "")


def a_report(regions: int = 3) -> Report:
    pool = {"id": 0, "runtime": EVIL, "path": EVIL, "how": "gate", "finding": EVIL}
    return Report(
        governed=True, budget=2, regions=regions, calls=1, granted=4, withheld=8, shortened=4,
        not_needed_s=1.25, pools=[pool], findings=[EVIL],
    )  # fmt: skip


SHOWN: list[Rich] = [
    Info([LONG, UNKNOWN]),
    Info(),
    a_budget(2.5, "0-3", 8),
    budget(),
    a_plan(4, 2, 1),
    plan(processes=2),
    Findings([Finding("id", "danger", EVIL, EVIL, EVIL)]),
    Findings(),
    a_report(),
]


@pytest.mark.parametrize("what", SHOWN, ids=lambda what: type(what).__name__)
def test_whole_accessible_and_safe(what: Rich) -> None:
    bundle = what._repr_mimebundle_()
    assert bundle["text/plain"] == repr(what)
    html = bundle["text/html"]
    shown = Page(html)
    assert shown.tags.count("table") == shown.tags.count("caption")
    assert set(shown.scopes) <= {"col", "row"}
    assert all(shown.labels)
    assert not {"script", "link", "img", "b"} & set(shown.tags)
    assert not re.search(r"https?:|url\(|@import", html)
    assert "--jp-content-font-color1" in html and "prefers-color-scheme:dark" in html


@pytest.mark.parametrize("what", SHOWN, ids=lambda what: type(what).__name__)
def test_html_has_what_the_text_has(what: Rich) -> None:
    html = Page(what._repr_html_()).text
    for number in re.findall(r"(?<![\w/.])\d+(?:\.\d+)?(?![\w/.])", repr(what)):
        assert number in html


@pytest.mark.parametrize(
    ("cpus", "allowed", "machine", "drawn", "words"),
    [
        (8, "0-7", 8, (8, 0), "You may use 8 of 8 CPUs"),
        (2.5, "0-3", 8, (3, 4), "You may use 2.5 of 8 CPUs (filled), 1.5 more, but not"),
        (0.5, "1", 4, (1, 3), "You may use 0.5 of 4 CPUs"),
        (2, "5,9", 4, (2, 2), "2 not at all (crossed out)"),
        (64, "0-63", 2000, (64, 960), "64 of 2000 CPUs"),
    ],
)
def test_cells(cpus: float, allowed: str, machine: int, drawn: tuple[int, int], words: str) -> None:
    own, off = drawn
    shown = a_budget(cpus, allowed, machine)
    picture = budget_cells(shown)
    kinds = Page(picture).kinds
    assert kinds.count("own") == own
    assert kinds.count("off") == 2 * off
    assert budget_words(shown).startswith(words) or words in budget_words(shown)
    filled = [float(w) for w in re.findall(r'class="own"[^>]* width="([\d.]+)"', picture)]
    whole = float(re.search(r'class="(?:free|off)"[^>]* width="([\d.]+)"', picture)[1])  # type: ignore[index]
    assert sum(filled) / whole == pytest.approx(cpus)


def test_boxes_are_as_many_as_the_plan_says() -> None:
    kinds = Page(plan_boxes(a_plan(3, 4, 2))).kinds
    assert kinds.count("box") == 3 + 3 * 4 and kinds.count("own") == 24
    many = plan_boxes(a_plan(100, 2, 1))
    assert Page(many).kinds.count("own") == 16
    assert "drawn: at most 8 of each" in many
    assert "1 process, in each 1 OpenMP thread, in each 1 BLAS thread: 1 thread" in plan_boxes(
        a_plan(1, 1, 1)
    )


def test_pools_are_stacked_against_the_cpus() -> None:
    pools = [("blas", f"openblas ({EVIL})", 4), ("openmp", "libgomp (x)", 6), ("tbb", "tbb (y)", 1)]
    bar = pools_bar(pools, 2)
    assert [kind for kind in Page(bar).kinds if kind in ("blas", "openmp", "other")] == [
        "blas", "openmp", "other",
    ]  # fmt: skip
    widths = [
        float(w) for w in re.findall(r'class="(?:blas|openmp|other)"[^>]* width="([\d.]+)"', bar)
    ]
    assert widths[1] / widths[0] == pytest.approx(1.5, rel=0.02)
    assert 'class="over"' in bar and 'class="over"' not in pools_bar(pools[2:] * 4, 2)
    assert "6 libgomp (x), 1 tbb (y); 11 in all, for 2 CPUs" in pools_words(pools, 2)
    key = Page(pools_key(pools, 2)).text
    assert "6 libgomp (x)" in key and "11 threads in all; the line is your 2 CPUs" in key
    # Governed, they are not too many.
    assert 'class="over"' not in pools_bar(pools, 2, governed=2)
    key = Page(pools_key(pools, 2, governed=2)).text
    assert "11 threads allowed; governed: 2 at a time; the line is your 2 CPUs" in key


def test_pools_are_stacked_in_a_terminal_too() -> None:
    pools = [("blas", "a", 4), ("openmp", "b", 6), ("blas", "c", 1), ("tbb", "d", 1)]
    assert pools_line(pools, 2) == "BB|BBBOOOOOO+  B BLAS 5  O OpenMP 6  + other pools 1"
    assert pools_line([("openmp", "b", 2)], 4) == "OO..|  O OpenMP 2"
    governed = pools_line([("openmp", "b", 4)], 2, governed=2)
    assert governed == "OO|OO  O OpenMP 4; governed: 2 at a time"
    # Many threads share a letter, and none is lost.
    bar = pools_line([("openmp", "b", 4800), ("blas", "c", 1)], 100).partition(" ")[0]
    assert bar == "B|" + 48 * "O"


def test_a_minute_of_threads() -> None:
    samples = [
        (0.0, {"blas": 1}, 2),
        (1.0, {"blas": 3, "program": 2}, 2),
        (2.0, {"program": 2, "openmp": 0}, None),
    ]
    drawn = minute(samples)
    kinds = Page(drawn).kinds
    assert [kinds.count(kind) for kind in ("blas", "program", "openmp", "over")] == [2, 2, 0, 1]
    # The program's threads stand on the pool's.
    heights = [float(y) for y in re.findall(r'class="(?:blas|program)"[^>]* y="([\d.]+)"', drawn)]
    assert heights[1] - heights[2] == pytest.approx(2 * (90 - 14) / 5, rel=0.01)
    assert minute_words(samples) == (
        "In the last of 3 samples: 2 threads on ? CPUs. Samples with more threads than CPUs: 1."
    )


def test_code_in_sentences() -> None:
    assert words("type `%govern on`") == "type <code>%govern on</code>"
    assert words("a ` alone <") == "a ` alone &lt;"


def test_a_bar_tells_too_many_in_words_too() -> None:
    assert "too many" not in threads_bar(2, 4, "blas")
    over = threads_bar(8, 4, "blas")
    assert Page(over).text == " too many"
    assert Page(over).kinds == ["blas", "over", "box"]


def test_lists_of_cpus() -> None:
    assert listed_cpus("0-3,8") == [0, 1, 2, 3, 8]
    assert listed_cpus("") == []


def test_cells_are_text_unless_said_otherwise() -> None:
    html = page(table(EVIL, [EVIL], [[EVIL]]))
    assert html.count("&lt;b&gt;") == 3 and "<b>" not in html


def test_a_report_is_a_dictionary_still() -> None:
    report = a_report()
    assert report["budget"] == 2 and dict(report)["pools"][0]["how"] == "gate"
    assert repr(report).startswith(
        "Governed, budget 2. 4 of 4 regions and BLAS calls got fewer threads than they asked for: "
        "on average 1.0 instead of 3.0."
    )
    report["shortened"] = 0
    assert "All 4 regions and BLAS calls got the threads they asked for." in repr(report)
    # While it was off, nothing was counted.
    report |= {"governed": False, "regions": 0, "calls": 0}
    assert repr(report).startswith("Not governed. In a notebook %govern on starts it, in Python")


def test_one_of_each_is_no_plural() -> None:
    one = a_plan(1, 1, 1, cpus=1.0)
    assert repr(one).startswith(
        "Plan for 1 CPU: 1 \N{MULTIPLICATION SIGN} 1 \N{MULTIPLICATION SIGN} 1 = 1 thread\n"
    )
    assert "Plan for 1 CPU: " in one._repr_html_()
    assert plan_words(one).endswith(": 1 thread on 1 CPU")
    assert budget_words(a_budget(1, "0", 1)) == "You may use 1 of 1 CPU"
    assert repr(a_budget(1, "0", 1)).startswith("Budget: 1 CPU (")
    assert "1 thread in all; the line is your 1 CPU" in pools_key([("blas", "a", 1)], 1)
    assert minute_words([(0.0, {"blas": 1}, 1)]).startswith(
        "In the last of 1 sample: 1 thread on 1 CPU. "
    )
    report = a_report(regions=0)
    assert "One region or BLAS call so far, which got 4 threads instead of 12.\n" in repr(report)
    report["shortened"] = 0
    assert "One region or BLAS call so far, which got the threads it asked for.\n" in repr(report)


def test_last_words_keep_their_lines() -> None:
    told = {
        "pid": 7, "program": "python", "headline": "it died", "time": 0, "signal": "SIGABRT",
        "threads": 1, "stderr": f"first `a`\n  second {EVIL}\n",
    }  # fmt: skip
    finding = Finding("id", "danger", "what", "why", "do")._asdict()
    shown = Page(Death("", {"death": told, "findings": [finding]})._repr_html_())
    assert shown.tags.count("pre") == 1
    # Controls that would steer a terminal are none of a page's either.
    assert f"first `a`\n  second {EVIL[:-1]}\N{REPLACEMENT CHARACTER}" in shown.text
