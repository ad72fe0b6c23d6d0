"""What a person sees and does in JupyterLab."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from conftest import Open
from playwright.sync_api import Browser, Locator, Page, expect
from screens import NARROW, WIDE, faults, picture

LOAD = "import corewise, numpy, scipy.linalg, sklearn.cluster\n%load_ext corewise"
# Prints the sizes that its OpenMP teams had; ends when they were limited, or after a minute.
BUSY = """\
import ctypes, time
regions = ctypes.CDLL('./libregions.so')
seen, end = [], time.monotonic() + 60
while time.monotonic() < end and seen[-1:] != [1]:
    if seen[-1:] != [team := regions.team_size()]: seen.append(team)
print('teams of', seen)"""

# Whoever governs on this machine shares the budget, and holds threads of it.
GRANTED = re.compile(r"^threads: \d+ of 2 granted$")


@contextmanager
def narrow(page: Page) -> Iterator[None]:
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    try:
        yield
    finally:
        page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})


def test_the_pools_as_a_picture(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD, "%threads", "corewise.plan(processes=2)")
    notebook.run(0)
    output = notebook.run(1)
    bar = output.get_by_role("img", name="2 openblas (numpy), 2 openblas (scipy), 2 libgomp")
    expect(bar).to_be_visible()
    assert bar.locator("rect.blas").count() == 2 and bar.locator("rect.openmp").count() == 1
    expect(output.locator("strong").first).to_contain_text("fits your 2 CPUs, but 2 copies of")
    expect(output).to_contain_text("What to do: %govern on, or %threads blas=1.")
    tables = output.locator("summary")
    assert tables.all_inner_texts()[0] == "3 thread pools"
    cells = output.get_by_role("img", name="You may use 2 of 2 CPUs")
    expect(cells).to_be_hidden()
    notebook.looks("threads", output)
    for i in range(tables.count()):
        tables.nth(i).click()
    expect(cells).to_be_visible()
    expect(output.locator("caption").first).to_contain_text("Native thread pools of process")
    notebook.looks("threads-unfolded", output)
    with narrow(notebook.page):
        # Wide tables scroll; no column is so narrow that its words stand letter by letter.
        rows = output.get_by_role("row", name=re.compile("^(blas|openmp) "))
        assert all(row.bounding_box()["height"] < 70 for row in rows.all())
    notebook.looks("plan", notebook.run(2))


def test_too_many_threads_are_one_picture(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD, "%threads openmp=8 blas=4", "%threads")
    notebook.run(0)
    notebook.run(1)
    output = notebook.run(2)
    verdict = output.locator("strong").first
    expect(verdict).to_contain_text(
        "Too many threads: openblas (numpy) may use 4, openblas (scipy)"
    )
    expect(verdict).to_contain_text(
        "may use 4 and libgomp (scikit_learn) may use 8, and you have 2"
    )
    expect(output).to_contain_text("What to do: %govern on, or %threads blas=2 openmp=2.")
    notebook.looks("too-many", output)


def test_a_saved_picture_is_readable_where_nothing_is_trusted(
    open_notebook: Open, lab: tuple[str, Path]
) -> None:
    notebook = open_notebook(LOAD, "%threads", "corewise.plan(processes=2)")
    for cell in range(3):
        notebook.run(cell)
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.context.save()")
    saved = nbformat.read(next(lab[1].glob("a_saved_picture*.ipynb")), as_version=4)
    saved.metadata["copied"] = "so that the server has not signed it"
    notebook = open_notebook(saved)
    output = notebook.output(1)
    expect(output.locator("caption").first).to_contain_text("Native thread pools of process")
    expect(output.locator("svg[role=img], svg.bar")).to_have_count(0)
    expect(output.locator("tbody tr").first.locator("td").first).to_have_text("2")
    expect(notebook.output(2)).to_contain_text("2 processes, in each 1 OpenMP thread")
    notebook.looks("untrusted", output)


def test_limits_are_changed_while_a_cell_runs(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD, BUSY, "%govern on 1")
    expect(notebook.item).to_have_text("threads: -")
    notebook.run(0)
    expect(notebook.item).to_have_text(re.compile("openmp 2, blas 2 on 2 CPUs"))
    output = notebook.run(1, wait=False)
    notebook.item.click()
    for pool in ("openblas (numpy)", "openblas (scipy)", "libgomp (scikit_learn)"):
        expect(notebook.dialog.locator("tbody tr", has_text=pool)).to_have_count(1)
    notebook.dialog.locator("input[name=openmp]").fill("1")
    notebook.looks("status-dialog", notebook.dialog)
    expect(notebook.indicator).to_have_attribute("data-status", "busy")
    notebook.dialog.get_by_role("button", name="Limit", exact=True).click()
    said = notebook.dialog.get_by_role("status")
    expect(said).to_contain_text("libgomp (scikit_learn): at most 1, every thread, from")
    expect(output).to_contain_text("teams of [2, 1]")
    notebook.dialog.get_by_role("button", name="Close").click()
    expect(notebook.dialog).to_have_count(0)
    expect(notebook.item).to_contain_text("openmp 1, blas 2 on 2 CPUs")
    notebook.run(2)
    expect(notebook.item).to_have_text("threads: 0 of 1 granted")


def test_asking_does_not_look_like_work(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD, "import time; time.sleep(3)")
    notebook.run(0)
    expect(notebook.item).to_contain_text("on 2 CPUs")
    notebook.page.evaluate(
        """() => {
  window.seen = [];
  window.jupyterapp.shell.currentWidget.sessionContext.statusChanged.connect(
    (_, status) => window.seen.push(status));
}"""
    )
    notebook.run(1)
    assert notebook.page.evaluate("window.seen") == ["busy", "idle"]


def test_bad_numbers_change_nothing(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD)
    notebook.run(0)
    expect(notebook.item).to_contain_text("on 2 CPUs")
    notebook.item.click()
    notebook.dialog.locator("input[name=blas]").fill("99999")
    notebook.dialog.get_by_role("button", name="Limit", exact=True).click()
    said = notebook.dialog.get_by_role("status")
    expect(said).to_contain_text("nothing was changed: ")
    expect(said).to_contain_text("from 1 to 32768")
    notebook.page.keyboard.press("Escape")
    expect(notebook.dialog).to_have_count(0)
    expect(notebook.item).to_contain_text("blas 2")


def test_the_dialog_by_keyboard(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD, BUSY, "%threads blas=8")
    notebook.run(0)
    expect(notebook.item).to_contain_text("on 2 CPUs")
    expect(notebook.item).to_have_attribute("aria-haspopup", "dialog")
    output = notebook.run(1, wait=False)
    notebook.item.click()
    dialog = notebook.page.get_by_role("dialog", name=re.compile("Threads of the_dialog"))
    number = dialog.locator("input[name=openmp]")
    said = dialog.get_by_role("status")
    limit = dialog.get_by_role("button", name="Limit", exact=True)
    number.fill("1")
    number.press("Enter")
    expect(said).to_contain_text("at most 1, every thread")
    expect(output).to_contain_text("teams of [2, 1]")
    # Neither an empty field nor what is no number ends that limit.
    for typed in ("", "e"):
        number.fill("")
        number.press_sequentially(typed)
        for act in (limit.click, lambda: number.press("Enter")):
            act()
            expect(said).to_contain_text("nothing was changed: type a")
    expect(dialog.locator("tbody tr", has_text="libgomp").locator("td").nth(3)).to_have_text("1")
    dialog.get_by_role("button", name="Undo").click()
    expect(said).to_contain_text("ended the limits")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    notebook.run(2)
    expect(notebook.item).to_have_text(re.compile("^too many threads: .*blas 8 on 2 CPUs"))
    notebook.looks("status-item", notebook.item)
    with narrow(notebook.page):
        expect(notebook.item).to_be_in_viewport()


def test_the_live_view(open_notebook: Open) -> None:
    load = LOAD + "\nimport corewise.jupyter._live as view\nview._IDLE = 600"
    work = "import time\nend = time.monotonic() + 4\nwhile time.monotonic() < end: a @ a"
    notebook = open_notebook(load + "\na = numpy.ones((1500, 1500))", "%threads live", work)
    notebook.run(0)
    output = notebook.run(1)
    picture = output.locator(".corewise-live svg[role=img]")
    said = re.compile(r"threads? runs?, |Nothing runs now")
    expect(picture.locator("title")).to_contain_text(said)
    verdict = output.locator(".corewise-live strong")
    expect(verdict).to_contain_text("you have 2 CPUs", ignore_case=True)
    expect(output.locator(".corewise-live tbody tr")).to_have_count(4)
    notebook.run(2, wait=False)
    bars = picture.locator("g.sample:has(rect.blas)")
    before = bars.count()
    expect(bars).to_have_count(before + 2)  # while the cell runs
    notebook.looks("live", output)
    # A page that is hidden says so, and the kernel stops.
    notebook.page.evaluate(
        """() => {
  Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
    )
    notebook.run(0)
    hidden = "corewise.jupyter.loaded()._live.hidden"
    notebook.page.evaluate(
        "code => window.jupyterapp.shell.currentWidget.content.widgets[2]"
        ".model.sharedModel.setSource(code)",
        f"import corewise\nprint({hidden}, 'now')",
    )
    expect(notebook.run(2)).to_contain_text("True now")
    notebook.page.evaluate(
        """() => {
  delete document.visibilityState;
  document.dispatchEvent(new Event('visibilitychange'));
}"""
    )
    expect(notebook.run(2)).to_contain_text("False now")


def test_a_saved_live_view_is_a_picture(open_notebook: Open, lab: tuple[str, Path]) -> None:
    load = LOAD + "\nimport corewise.jupyter._live as view\nview._IDLE = 1"
    notebook = open_notebook(load, "%threads live")
    notebook.run(0)
    output = notebook.run(1)
    expect(output.get_by_role("img", name="on 2 CPUs")).to_be_visible()
    expect(output.locator(".corewise-live")).to_have_count(0)
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.context.save()")
    saved = nbformat.read(next(lab[1].glob("a_saved_live*.ipynb")), as_version=4)
    notebook = open_notebook(saved)
    output = notebook.output(1)
    expect(output).to_contain_text("The last sample")
    expect(output).not_to_contain_text("Error")
    notebook.looks("live-saved", output)


def test_a_kernel_restart_and_a_kernel_without_corewise(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD, "print('restarted', 1)")
    notebook.run(0)
    expect(notebook.item).to_contain_text("on 2 CPUs")
    notebook.command("kernelmenu:restart")
    notebook.page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(notebook.item).to_have_text("threads: -")
    notebook.run(1)
    expect(notebook.item).to_have_text("threads: -")
    expect(notebook.item).to_have_attribute("title", re.compile("run %load_ext corewise"))
    notebook.run(0)
    expect(notebook.item).to_contain_text("on 2 CPUs")


def test_the_moment_of_death(open_notebook: Open) -> None:
    crash = "import ctypes; ctypes.string_at(16)"
    killed = "import os; os.kill(os.getpid(), 9)"
    notebook = open_notebook(LOAD, crash, "corewise.govern_report()['governed']", killed)
    page = notebook.page
    why = page.get_by_role("button", name="Why?")
    again = page.get_by_role("button", name="Restart governed")

    def die(cell: int, died: str, *buttons: Locator) -> None:
        notebook.run(0)
        expect(notebook.item).to_contain_text("on 2 CPUs")
        notebook.run(cell, wait=False)
        page.get_by_role("dialog").get_by_role("button", name="Ok").click()
        expect(notebook.item).to_contain_text(died)
        with narrow(page):
            for button in buttons:
                expect(button).to_be_in_viewport(ratio=1)

    died = "the_moment_of_death.ipynb died by SIGSEGV in libc.so.6"
    die(1, died, why)
    notebook.looks("death-item", notebook.item)
    why.click()
    dialog = page.get_by_role("dialog", name=re.compile(died))
    expect(dialog).to_contain_text("Why: Nothing on the stack")
    expect(dialog).to_contain_text("What to do: Put import faulthandler")
    expect(again).to_have_count(0)  # governing does not help: neither here nor in the status bar
    notebook.looks("death-dialog", dialog)
    dialog.get_by_role("button", name="Close").click()
    expect(again).to_have_count(0)

    die(3, "the_moment_of_death.ipynb died and left no report", why, again)
    notebook.looks("death-item-governing-helps", notebook.item)
    again.click()
    expect(notebook.item).to_have_text(GRANTED)
    expect(why).to_be_hidden()
    expect(again).to_be_hidden()
    page.evaluate(
        "code => window.jupyterapp.shell.currentWidget.content.widgets[2]"
        ".model.sharedModel.setSource(code)",
        "import corewise\ncorewise.govern_report()['governed']",
    )
    expect(notebook.run(2)).to_contain_text("True")


def test_the_death_of_a_kernel_without_corewise(open_notebook: Open) -> None:
    notebook = open_notebook("import numpy", "import ctypes; ctypes.string_at(16)")
    notebook.run(0)
    expect(notebook.item).to_have_text("threads: -")
    notebook.run(1, wait=False)
    page = notebook.page
    page.get_by_role("dialog").get_by_role("button", name="Ok").click()
    died = "without_corewise.ipynb died; corewise was not seen in it, so the cause is not known"
    expect(notebook.item).to_contain_text(died)
    page.get_by_role("button", name="Why?").click()
    dialog = page.get_by_role("dialog", name=re.compile(died))
    expect(dialog).to_contain_text("precompiled NUM_THREADS exceeded")
    notebook.looks("death-without-corewise", dialog)
    dialog.get_by_role("button", name="Restart governed").click()
    expect(notebook.item).to_have_text(GRANTED)


def test_corewise_is_loaded_by_a_click(open_notebook: Open) -> None:
    notebook = open_notebook("import numpy", "%threads off")
    notebook.run(0)
    expect(notebook.item).to_have_text("threads: -")
    notebook.item.click()
    notebook.dialog.get_by_role("button", name="Load corewise").click()
    expect(notebook.dialog).to_have_count(0)
    expect(notebook.item).to_contain_text("blas 2 on 2 CPUs")
    expect(notebook.run(1)).to_contain_text("limits nothing")


def test_a_closed_notebook_is_asked_no_more(open_notebook: Open) -> None:
    notebook = open_notebook(LOAD)
    notebook.run(0)
    expect(notebook.item).to_contain_text("on 2 CPUs")
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.dispose()")
    expect(notebook.item).to_be_hidden()


@pytest.mark.parametrize("broken", ["{}", "null"])
def test_another_jupyterlab_gets_no_item_and_no_trouble(open_notebook: Open, broken: str) -> None:
    """Where modules are not shared as expected, the extension brings no plugins."""
    notebook = open_notebook("1")
    brought = notebook.page.evaluate(
        f"""async () => {{
  const warn = console.warn;
  const said = [];
  console.warn = (text) => said.push(text);
  const container = window._JUPYTERLAB.corewise;
  await container.init({broken});
  const made = (await container.get('./extension'))();
  console.warn = warn;
  return [made.default.length, said.length];
}}"""
    )
    assert brought == [0, 1]


def has_notebook_7() -> bool:
    try:
        return int(metadata.version("notebook").split(".")[0]) >= 7
    except metadata.PackageNotFoundError:
        return False


def choose_theme(page: Page, server: str, theme: str) -> None:
    """By the server's settings, which Notebook 7 has in common with JupyterLab."""
    answer = page.request.put(
        f"{server}/lab/api/settings/@jupyterlab/apputils-extension:themes?token=corewise",
        data={"raw": json.dumps({"theme": theme})},
    )
    assert answer.ok, answer.text()
    page.reload()
    light = "true" if "Light" in theme else "false"
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", light)


@pytest.mark.skipif(not has_notebook_7(), reason="needs Notebook 7: pip install notebook")
def test_notebook_7_has_the_item_in_its_toolbar(lab: tuple[str, Path], browser: Browser) -> None:
    cells = [nbformat.v4.new_code_cell(LOAD)]
    notebook = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    nbformat.write(notebook, lab[1] / "seven.ipynb")
    page = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}).new_page()
    page.goto(f"{lab[0]}/notebooks/seven.ipynb?token=corewise")
    item = page.locator(".jp-NotebookPanel-toolbar .corewise-item")
    expect(item).to_have_text("threads: -")
    item.click()
    page.get_by_role("button", name="Load corewise").click()
    expect(item).to_contain_text("no pools yet on 2 CPUs")
    for mode, (width, height) in {"light": WIDE, "narrow": NARROW, "dark": WIDE}.items():
        page.set_viewport_size({"width": width, "height": height})
        if mode == "dark":
            choose_theme(page, lab[0], "JupyterLab Dark")
            expect(item).to_contain_text("no pools yet on 2 CPUs")
        page.wait_for_timeout(500)
        picture(page, f"notebook-7-{mode}")
        expect(item).to_be_in_viewport(ratio=1)
        assert faults(item) == [], mode
    choose_theme(page, lab[0], "JupyterLab Light")
    for session in page.request.get(f"{lab[0]}/api/sessions?token=corewise").json():
        page.request.delete(f"{lab[0]}/api/sessions/{session['id']}?token=corewise")
    page.close()
