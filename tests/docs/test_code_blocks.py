"""Every code block of README and docs runs.

python  runs in a process of its own; console  runs each line after "$ " in a shell, and each line
of output that the page shows must appear, where digits stand for any number and "..." for any text;
ipython  runs as one cell with the extension loaded;
cpp  with a main is built against the installed library and run. A block after the comment
<!-- not run: REASON --> is left out.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?P<skip><!-- not run: .+? -->\n)?^```(?P<kind>python|ipython|console|cpp)\n"
    r"(?P<code>.*?)^```",
    re.M | re.S,
)
NOT_FOR_CHILDREN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def blocks() -> list:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match["skip"]:
                continue
            line = text.count("\n", 0, match.start("code")) + 1
            name = f"{page.relative_to(ROOT)}:{line}"
            found.append(pytest.param(match["kind"], match["code"], id=name))
    return found


def environment() -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k not in NOT_FOR_CHILDREN}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    env["COLUMNS"] = "100"
    return env


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def as_pattern(line: str) -> str:
    """The shown line as a pattern: any number for a number, any text for "..." and "~/venv"."""
    parts = re.split(r"(~/venv|\.\.\.|…|\d+(?:\.\d+)*|\s+)", line.strip())
    wild = {"...": ".*", "…": ".*", "~/venv": ".*"}
    return "".join(
        wild.get(p)
        or (r"\s+" if p.isspace() else r"[\d.]+" if re.match(r"\d", p) else re.escape(p))
        for p in parts
        if p
    )


def run_console(code: str, folder: Path) -> None:
    for chunk in re.split(r"^\$ ", code, flags=re.M)[1:]:
        command, _, shown = chunk.partition("\n")
        done = shell(command, folder)
        output = done.stdout + done.stderr
        assert done.returncode in (0, 1), f"$ {command}\n{output}"
        for line in filter(str.strip, shown.splitlines()):
            assert re.search(as_pattern(line), output), f"not in the output: {line}\n{output}"


def run_cpp(code: str, folder: Path) -> None:
    if "int main" not in code:
        pytest.skip("a fragment")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    prefix = subprocess.check_output(
        [sys.executable, "-m", "corewise", "--prefix"], text=True, env=environment()
    ).strip()
    (folder / "block.cpp").write_text(code)
    build = (
        f"g++ -std=c++20 -fopenmp -I{prefix}/include block.cpp -L{prefix}/lib -lcorewise"
        f" -Wl,-rpath,{prefix}/lib -o block && ./block"
    )
    done = shell(build, folder)
    assert done.returncode == 0, done.stdout + done.stderr


def run_ipython(code: str, folder: Path) -> None:
    (folder / "block.ipy").write_text(code)
    done = shell(f"{sys.executable} -m IPython --ext corewise --no-banner block.ipy", folder)
    output = done.stdout + done.stderr
    assert done.returncode == 0 and not re.search("UsageError|Traceback", output), output


@pytest.mark.parametrize(("kind", "code"), blocks())
def test_block(kind: str, code: str, tmp_path: Path) -> None:
    if kind == "python":
        (tmp_path / "block.py").write_text(code)
        done = shell(f"{sys.executable} block.py", tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    elif kind == "ipython":
        run_ipython(code, tmp_path)
    elif kind == "console":
        run_console(code, tmp_path)
    else:
        run_cpp(code, tmp_path)
