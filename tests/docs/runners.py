"""How a code block of each language is run: in a folder of its own, failing by an assertion."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

# The last two are set by scikit-learn, which other tests of this process import.
NOT_FOR_CHILDREN = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
)


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


def succeed(command: str, folder: Path) -> str:
    done = shell(command, folder)
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"$ {command}\n{output}"
    return output


def as_pattern(line: str) -> str:
    """The shown line as a pattern: any number for a number, any text for "..." and "~/venv"."""
    parts = re.split(r"(~/venv|\.\.\.|…|\d+(?:\.\d+)*|\s+)", line.strip())
    wild = {"...": ".*", "…": ".*", "~/venv": ".*"}
    pattern = "".join(
        wild.get(p)
        or (r"\s+" if p.isspace() else r"[\d.]+" if re.match(r"\d", p) else re.escape(p))
        for p in parts
        if p
    )
    # The doctor counts a note where another governed program on this machine holds all threads.
    return re.sub(r"(warnings?)\\\.$", r"\1(?:, 1 note)?\\.", pattern)


def lines_of(text: str) -> list[str]:
    """Without what is said of other governed programs on this machine, which no page can know.

    The doctor notes what they hold just now; a report, that another version left a ledger.
    """
    text = re.sub(r"^Finding: The ledger\b.*\n(?:  .*\n)*", "", text, flags=re.M)
    paragraphs = text.split("\n\n")
    own = [each for each in paragraphs if not (each.startswith("note ") and "ledger" in each)]
    return [line.strip() for each in own for line in each.splitlines() if line.strip()]


def compare(shown: list[str], said: list[str]) -> str:
    """What the page shows otherwise than the program says it; "" if nothing.

    A line "..." stands for lines that the page leaves out, so that a reader sees that it does.
    """
    at = 0
    free = False  # after "..."
    for line in shown:
        if line == "...":
            free = True
            continue
        found = (n for n in range(at, len(said)) if re.fullmatch(as_pattern(line), said[n]))
        place = next(found, None)
        if place is None:
            return f"not in the output: {line}"
        if place > at and not free:
            return f"the page leaves out: {said[at]}"
        at, free = place + 1, False
    return "" if free or at == len(said) else f"the page leaves out: {said[at]}"


def run_console(code: str, folder: Path) -> None:
    for chunk in re.split(r"^\$ ", code, flags=re.M)[1:]:
        command, _, shown = chunk.partition("\n")
        done = shell(f"{{ {command}\n}} 2>&1", folder)
        assert done.returncode in (0, 1), f"$ {command}\n{done.stdout}"
        if shown.strip():
            difference = compare(lines_of(shown), lines_of(done.stdout))
            assert not difference, f"{difference}\n$ {command}\n{done.stdout}"


def run_python(code: str, folder: Path) -> None:
    (folder / "block.py").write_text(code)
    succeed(f"{sys.executable} block.py", folder)


def run_ipython(code: str, folder: Path) -> None:
    (folder / "block.ipy").write_text(code)
    output = succeed(f"{sys.executable} -m IPython --ext corewise --no-banner block.ipy", folder)
    assert not re.search("UsageError|Traceback", output), output


def run_cpp(code: str, folder: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    prefix = succeed(f"{sys.executable} -m corewise --prefix", folder).strip()
    (folder / "block.cpp").write_text(code)
    succeed(
        f"g++ -std=c++20 -fopenmp -I{prefix}/include block.cpp -L{prefix}/lib -lcorewise"
        f" -Wl,-rpath,{prefix}/lib -o block && ./block",
        folder,
    )


def run_sh(code: str, folder: Path) -> None:
    """PID stands for a process that runs."""
    with subprocess.Popen(["sleep", "60"]) as other:
        succeed(code.replace("PID", str(other.pid)), folder)
        other.kill()


def run_toml(code: str, folder: Path) -> None:
    (folder / "corewise.toml").write_text(code)
    succeed(f"{sys.executable} -c 'import corewise; assert corewise.project().limits'", folder)


def run_dockerfile(code: str, folder: Path) -> None:
    """What the image would start, here."""
    words = {key: json.loads(value) for key, value in re.findall(r"^(\w+) (\[.+\])$", code, re.M)}
    (folder / "train.py").write_text("print('trained')")
    assert "trained" in succeed(shlex.join(words["ENTRYPOINT"] + words["CMD"]), folder)


def run_yaml(code: str, folder: Path) -> None:
    assert yaml.safe_load(code)


RUN = {
    "python": run_python,
    "ipython": run_ipython,
    "console": run_console,
    "cpp": run_cpp,
    "sh": run_sh,
    "toml": run_toml,
    "dockerfile": run_dockerfile,
    "yaml": run_yaml,
}
