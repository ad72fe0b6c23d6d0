"""JupyterLab in a real browser: a server, Debian's Chromium, and a notebook in it.

What the page logs as an error fails the test.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import chromium
import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from screens import NARROW, WIDE, faults, picture

ROOT = Path(__file__).parents[2]
_NOT_FOR_CHILDREN = ("OMP_", "OPENBLAS_", "COREWISE", "JUPYTER")
_NUMBER = re.compile(r"\[\d+\]:")
_TOKEN = "corewise"
# Machines that run tests are busy.
expect.set_options(timeout=30_000)
_MODES = [
    ("light", "JupyterLab Light", WIDE),
    ("dark", "JupyterLab Dark", WIDE),
    ("narrow", "JupyterLab Light", NARROW),
]
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension/themes": {"theme": "JupyterLab Light"},
}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The server's address and its folder."""
    folder = tmp_path_factory.mktemp("lab")
    for name, settings in _SETTINGS.items():
        file = folder / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    (folder / "root").mkdir()
    source = ROOT / "tests" / "python" / "native" / "regions.c"
    library = folder / "root" / "libregions.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-fopenmp", "-o", library, source], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_CHILDREN)} | {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={_TOKEN}",
        f"--ServerApp.root_dir={folder / 'root'}", "--expose-app-in-browser",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            _wait_for(f"{address}/api/status?token={_TOKEN}", server)
            yield address, folder / "root"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                # Jupyter's server waits for its worker threads, of which one may never end.
                server.kill()
                server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    yield from chromium.started()


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.indicator = self.panel.locator(".jp-Notebook-ExecutionIndicator")
        self.item = page.locator(".corewise-item")
        self.dialog = page.locator(".corewise-dialog")

    def command(self, name: str, **arguments: object) -> None:
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args); }",
            [name, arguments],
        )

    def run(self, index: int, *, wait: bool = True) -> Locator:
        """Runs one cell; its output."""
        self.page.evaluate(
            "i => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", index
        )
        self.command("notebook:run-cell")
        cell = self.panel.locator(".jp-CodeCell").nth(index)
        prompt = cell.locator(".jp-InputPrompt").first
        if wait:
            expect(prompt).to_have_text(_NUMBER)
        else:
            expect(prompt).to_have_text("[*]:")
        return self.output(index)

    def output(self, index: int) -> Locator:
        return self.panel.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea").first

    def theme(self, name: str) -> None:
        self.command("apputils:change-theme", theme=name)
        light = "true" if "Light" in name else "false"
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", light)

    def looks(self, name: str, part: Locator) -> None:
        """Takes pictures in light, in dark and in a narrow window; this part is readable in all."""
        outputs = part.locator(".jp-OutputArea-output")  # without JupyterLab's own prompts
        part = outputs if outputs.count() else part
        try:
            for mode, theme, size in _MODES:
                self.theme(theme)
                self.page.set_viewport_size({"width": size[0], "height": size[1]})
                self.page.wait_for_timeout(500)  # JupyterLab lays its panels out again
                picture(self.page, f"{name}-{mode}")
                assert faults(part) == [], mode
        finally:
            self.theme("JupyterLab Light")
            self.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})


Open = Callable[..., Notebook]


@pytest.fixture(scope="session")
def page(lab: tuple[str, Path], browser: Browser) -> Page:
    """JupyterLab, loaded once: that takes longer than most tests."""
    page = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}).new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{lab[0]}/lab?reset&token={_TOKEN}")
    page.wait_for_function("window.jupyterapp")
    # Without the list of files, which would leave nothing of a narrow window.
    page.evaluate(
        "async () => { await window.jupyterapp.restored; window.jupyterapp.shell.collapseLeft(); }"
    )
    return page


@pytest.fixture
def open_notebook(
    lab: tuple[str, Path], page: Page, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Opens a notebook with these cells, on a kernel of its own."""
    logged: list[str] = []
    page.on("pageerror", lambda error: logged.append(str(error)))

    def open_notebook(*cells: str | nbformat.NotebookNode) -> Notebook:
        """With these cells, or as it is given."""
        name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-") + ".ipynb"
        if isinstance(cells[0], str):
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
                metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            )
        else:
            notebook, name = cells[0], f"given-{name}"
        nbformat.write(notebook, lab[1] / name)
        opened = Notebook(page)
        page.evaluate(
            """async (path) => {
  const panel = await window.jupyterapp.commands.execute('docmanager:open', { path });
  window.jupyterapp.shell.activateById(panel.id);
  await panel.revealed;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
}""",
            name,
        )
        expect(opened.indicator).to_have_attribute("data-status", "idle")
        return opened

    yield open_notebook
    page.evaluate(
        """async () => {
  const app = window.jupyterapp;
  document.querySelectorAll('dialog').forEach((dialog) => dialog.remove());
  await app.serviceManager.sessions.shutdownAll();
  for (const widget of [...app.shell.widgets('main')]) {
    if (widget.context) await widget.context.save();
    widget.dispose();
  }
}"""
    )
    assert logged == []
