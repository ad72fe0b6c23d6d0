"""The house: what may include what, and one name for one thing. HACKING.md says what each folder is
for. Exceptions are named here and may only become fewer: one that is no longer needed fails too."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from os.path import normpath
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# From the ground up: a file may include what is in its own folder, or in one that stands before it.
ORDER = [
    "src/base",
    "src/os",
    "src/elf",
    "src/pools",
    "src/pools/runtimes",
    "src/limits",
    "src/budget",
    "src/advice",
    "src/outside",
    "src/tcm",
    "src/govern/ledger",
    "src/govern/machine",
    "src/govern/patch",
    "src/govern/grants",
    "src/govern/teams",
    "src/govern/spinning",
    "src/govern/openblas_buffers",
    "src/govern/gates",
    "src/govern",
    "src/observe",
    "src/facts",
    "src/death",
    "src/control",
    "src/agent",
    "src/c_api",
    "cli/shell",
    "cli/screen",
    "cli/start",
    "cli/jobs",
    "cli/python",
    "cli/outcome",
    "cli/reach",
    "cli/recording",
    "cli/top",
    "cli/commands",
    "cli",
]

# What they declare answers questions about the process and the machine: what is loaded, mapped or
# allowed, which threads and files there are. src/os asks; everybody else asks src/os.
OS_HEADERS = {
    "asm/unistd.h",
    "dirent.h",
    "dlfcn.h",
    "link.h",
    "sched.h",
    "sys/auxv.h",
    "sys/mman.h",
    "sys/syscall.h",
    "sys/sysinfo.h",
}
OS_HEADERS_ELSEWHERE = {
    # They map files and pages of their own.
    ("src/agent/report_line.cpp", "sys/mman.h"),
    ("src/base/wiped_on_fork.h", "sys/mman.h"),
    ("src/govern/ledger/ledger_shm.cpp", "sys/mman.h"),
    ("src/govern/ledger/shared_file.cpp", "sys/mman.h"),
    ("src/govern/machine/public_page.cpp", "sys/mman.h"),
    # Lists the folder whose descriptor it has checked.
    ("src/death/folder.cpp", "dirent.h"),
    # Lists a folder and opens a file where the C library would allocate, or has no name for it.
    ("src/govern/machine/foreign_files.cpp", "dirent.h"),
    ("src/govern/machine/foreign_files.cpp", "sys/syscall.h"),
    # A signal handler may call the kernel, and not the C library.
    ("src/death/report.cpp", "sys/syscall.h"),
    # They stand for the program's own calls, and hand these on.
    ("src/agent/children.cpp", "sys/syscall.h"),
    ("src/agent/identity.cpp", "sched.h"),
    ("src/govern/patch/filters.cpp", "sys/syscall.h"),
}

# A header and its source count as one.
MOST_IN_A_FOLDER = 16


@cache
def sources() -> list[Path]:
    """Headers and sources of the core and the command line."""
    found = [file for top in ("src", "cli") for file in (ROOT / top).rglob("*.*")]
    return sorted(file for file in found if file.suffix in (".c", ".cpp", ".h"))


def shown(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def unit(file: Path) -> str:
    """A header and its source."""
    return shown(file.with_suffix(""))


def folder(file: Path) -> str:
    return shown(file.parent)


@cache
def included(file: Path) -> list[Path]:
    """The files of the core and the command line that this one includes."""
    found = []
    for name in re.findall(r'^\s*#include "([^"]+)"', file.read_text(), re.M):
        places = [top / name for top in (file.parent, ROOT / "src", ROOT / "cli", ROOT / "include")]
        there = [Path(normpath(place)) for place in places if place.exists()]
        assert there, f'{shown(file)} includes "{name}", which is nowhere'
        if there[0].parent != ROOT / "include":
            found.append(there[0])
    return found


def circles(graph: Mapping[str, Iterable[str]]) -> set[frozenset[str]]:
    def reach(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = set(graph.get(waiting.pop(), ())) - found
            found |= new
            waiting += new
        return found

    reached = {name: reach(name) for name in graph}
    return {
        frozenset(other for other in reached[name] if name in reached.get(other, ()))
        for name in graph
        if name in reached[name]
    }


def test_every_folder_has_its_place() -> None:
    assert sorted({folder(file) for file in sources()}) == sorted(ORDER)


def test_hacking_says_what_each_folder_is_for() -> None:
    rows = re.findall(r"^\| `((?:src|cli)/[^`]*)/?` \| .", (ROOT / "HACKING.md").read_text(), re.M)
    assert [row.removesuffix("/") for row in rows] == ORDER


def test_includes_run_down() -> None:
    up = {
        (shown(file), shown(other))
        for file in sources()
        for other in included(file)
        if ORDER.index(folder(other)) > ORDER.index(folder(file))
    }
    assert up == set()


def test_questions_to_the_system_are_asked_in_os() -> None:
    found = {
        (shown(file), name)
        for file in sources()
        if folder(file).startswith("src/") and folder(file) != "src/os"
        for name in re.findall(r"^\s*#include <([^>]+)>", file.read_text(), re.M)
        if name in OS_HEADERS
    }
    assert found == OS_HEADERS_ELSEWHERE


def test_no_circle_of_includes() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for file in sources():
        graph[unit(file)] |= {unit(other) for other in included(file)} - {unit(file)}
    assert circles(graph) == set()


def test_a_folder_can_be_taken_in_at_a_look() -> None:
    sizes = Counter(folder(file) for file in {file.with_suffix("") for file in sources()})
    assert {name: size for name, size in sizes.items() if size > MOST_IN_A_FOLDER} == {}


def test_unit_tests_stand_where_their_sources_do() -> None:
    tests = ROOT / "tests/unit"
    folders = {file.parent.relative_to(tests).as_posix() for file in tests.rglob("test_*.cpp")}
    assert folders - set(ORDER) - {name.removeprefix("src/") for name in ORDER} == set()


def test_no_file_name_twice() -> None:
    names = Counter(Path(name).name for name in {unit(file) for file in sources()})
    assert {name for name, times in names.items() if times > 1} == set()


def test_no_type_name_twice() -> None:
    """All types of the core, and what its headers call others by. Of the command line only what its
    headers offer: each of its commands has its own `Options`. An alias in a source file is local
    shorthand, and one that keeps the name of what it stands for is no second meaning."""
    head = re.compile(
        r"^(\s*)(?:struct|class|union|enum(?: class)?)\s+(?:alignas\([^)]*\)\s+)?(\w+)(<[^;{]*>)?"
        r"(?:\s+final)?\s*(?::[^;(){}]*)?\{",
        re.M,
    )
    alias = re.compile(r"^(\s*)using\s+(\w+)\s*=(?!(?:\s*|[^;]*::)\2;)", re.M)
    core: Counter[str] = Counter()
    outermost: Counter[str] = Counter()
    for file in sources():
        is_core, is_header = file.is_relative_to(ROOT / "src"), file.suffix == ".h"
        if not is_core and not is_header:
            continue
        text = re.sub(r"//.*", "", file.read_text())
        found = [(indent.strip("\n"), name) for indent, name, of in head.findall(text) if not of]
        # A template and its specialisations are one, and so are their aliases.
        templates = {(indent.strip("\n"), name) for indent, name, of in head.findall(text) if of}
        aliases = {(indent.strip("\n"), name) for indent, name in alias.findall(text)}
        found += list(templates | aliases if is_header else templates)
        outermost += Counter(name for indent, name in found if not indent)
        if is_core:
            core += Counter(name for _, name in found)
    twice = {name for names in (core, outermost) for name, times in names.items() if times > 1}
    assert twice == set()


def imports(file: Path) -> set[str]:
    """The modules of corewise that this one imports when it is imported itself."""
    package = ROOT / "python"
    parts = file.relative_to(package).with_suffix("").parts
    found: set[str] = set()

    def module(*names: str) -> str | None:
        path = package.joinpath(*names)
        if (path / "__init__.py").exists():
            return ".".join(names)
        there = any(path.with_suffix(suffix).exists() for suffix in (".py", ".pyi"))
        return ".".join(names) if there else None

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        wanted: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            wanted = [tuple(name.name.split(".")) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level] if node.level else ()
            source = (*above, *(node.module.split(".") if node.module else ()))
            # A name is a module of the package, or something in the package's own.
            wanted = [
                (*source, name.name) if module(*source, name.name) else source
                for name in node.names
            ]
        found.update(filter(None, (module(*names) for names in wanted if names[0] == "corewise")))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text()))
    return found


def test_no_circle_of_imports() -> None:
    graph = {}
    for file in sorted((ROOT / "python/corewise").rglob("*.py")):
        name = ".".join(file.relative_to(ROOT / "python").with_suffix("").parts)
        graph[name.removesuffix(".__init__")] = imports(file)
    assert circles(graph) == set()


def imported_later(file: Path) -> set[str]:
    """What the functions of this module import when they are called: modules of corewise by their
    own name, others by the package's."""
    found: set[str] = set()
    tree = ast.parse(file.read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    found |= {name.name.partition(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and (node.module or not node.level):
                    found.add((node.module or "").partition(".")[0])
                elif isinstance(node, ast.ImportFrom):
                    found |= {name.name for name in node.names}
    return found


def test_what_is_imported_later_is_imported_before_a_fork() -> None:
    fork = ast.parse((ROOT / "python/corewise/_fork.py").read_text())
    listed = {
        node.targets[0].id: set(ast.literal_eval(node.value))
        for node in fork.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    package = ROOT / "python/corewise"
    names = ast.parse((package / "__init__.py").read_text())
    own = {
        node.value
        for node in ast.walk(names)
        if isinstance(node, ast.Constant)
        and re.fullmatch(r"_[a-z]+", str(node.value))
        and (package / f"{node.value}.py").exists()
    }
    before = listed["WITHIN"] | own - listed["FOREIGN"]
    files = [package / f"{module}.py" for module in before - {"_show"}]
    # Its modules are no names of the package; they import each other at once.
    files += (package / "_show").glob("*.py")
    later = {name for file in files for name in imported_later(file)}
    assert later - before - listed["FOREIGN"] - {"_core"} == listed["STANDARD"]


def test_each_view_is_some_records() -> None:
    views = ROOT / "python/corewise/_show"
    begin = ast.parse((views / "__init__.py").read_text())
    (listed,) = [node.value for node in begin.body if isinstance(node, ast.Assign)]
    found = {f"corewise._show.{name}" for name in ast.literal_eval(listed).values()}
    waiting = list(found)
    while waiting:
        new = imports(views / f"{waiting.pop().rpartition('.')[2]}.py") - found
        new = {name for name in new if name.startswith("corewise._show.")}
        found |= new
        waiting += new
    there = {f"corewise._show.{file.stem}" for file in views.glob("*.py")}
    assert found == there - {"corewise._show.__init__"}
