"""%threads, %%threads and %govern, typed into a kernel."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import Kernel, started

NOW = "now()"


def test_what_is_there_is_shown_with_its_text_twin(kernel: Kernel) -> None:
    (shown,) = kernel("%threads").shown
    text, html = shown["text/plain"], shown["text/html"]
    assert text.startswith("Each pool alone fits your 2 CPUs, but 2 copies of OpenBLAS can")
    assert "What to do: %govern on, or %threads blas=1." in text
    assert text.splitlines()[1] == "BB|BBOO  B BLAS 4  O OpenMP 2"
    for part in ("This notebook limits nothing", "libscipy_openblas", "libgomp", "Budget: 2 CPUs"):
        assert part in text and part in html
    assert "2 copies of OpenBLAS" in text and "2 copies of OpenBLAS" in html
    assert 'role="img"' in html and "<script" not in html


def test_a_limit_holds_for_all_cells_until_off(kernel: Kernel) -> None:
    said = kernel("%threads openmp=8 blas=1").text
    assert said.splitlines() == [
        "corewise: openmp=8 blas=1 for every cell of this notebook",
        "  blas: openblas (numpy) 1 thread (was 2), in the whole process",
        "  blas: openblas (scipy) 1 thread (was 2), in the whole process",
        "  openmp: libgomp (scikit_learn) 8 threads (was 2), on the thread that runs cells",
    ]
    for _ in range(2):
        cell = kernel(NOW)
        assert cell.result == "[['blas', 1], ['blas', 1], ['openmp', 8]]" and cell.text == ""
    text = kernel("%threads").shown[0]["text/plain"]
    assert "openmp=8 blas=1" in text
    assert text.startswith(
        "Too many threads: libgomp (scikit_learn) may use 8, and you have 2 CPUs."
    )
    assert kernel("%threads off").text == "corewise: this notebook limits nothing now\n"
    assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"


def test_limits_add_up(kernel: Kernel) -> None:
    kernel("%threads openmp=8")
    said = kernel("%threads blas=1").text
    assert "openmp=8 blas=1 for every cell" in said
    assert "libgomp (scikit_learn) 8 threads, on the thread" in said
    assert said.count("1 thread (was 2)") == 2
    kernel("%threads blas=2  # again: in place of the first")
    assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 8]]"
    kernel("%threads libgomp=3")  # one pool of those
    assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 3]]"
    said = kernel("%threads openmp=1").text  # all of them, by whatever name it was
    assert "blas=2 openmp=1 for" in said or "openmp=1 blas=2 for" in said
    assert said.splitlines()[0].endswith("; libgomp=3 ended") and "1 thread (was 3)" in said
    said = kernel("%threads off openmp").text
    assert said.startswith("corewise: blas=2 for every cell") and "libgomp" not in said
    assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"
    refused = kernel("%threads off openmp")
    assert "no limit called 'openmp'; limited here: blas=2" in refused.text + refused.error
    kernel("%threads off blas")
    refused = kernel("%threads off blas")
    assert "limits nothing" in refused.text + refused.error


@pytest.mark.parametrize(
    "typed",
    [
        "openmp=1 blas=1", "openmp=1, blas=1", "openmp=1,blas=1", "openmp = 1, blas = 1",
        "--openmp 1 --blas 1", "--openmp=1 --blas=1", "--openmp 1, blas=1  # three",
        "--pool libgomp=1 --blas 1",
    ],
)  # fmt: skip
def test_one_thing_in_every_spelling(kernel: Kernel, typed: str) -> None:
    one = "[['blas', 1], ['blas', 1], ['openmp', 1]]"
    assert kernel(f"%%threads {typed}\n{NOW}").result == one
    assert "for every cell" in kernel(f"%threads {typed}").text
    assert kernel(NOW).result == one


def test_limits_of_others_are_told(kernel: Kernel) -> None:
    cell = kernel(
        "with corewise.limits(openmp=1, blas=1):\n    get_ipython().run_line_magic('threads', '')"
    )
    told = cell.shown[0]["text/plain"].replace("\n", " ")
    assert "This notebook limits nothing. corewise.limits limits openblas (numpy) to" in told
    assert "openblas (scipy) to 1 thread, libgomp (scikit_learn) to 1 thread." in told
    kernel("%threads blas=1\nopen = corewise.limits(blas=2, openmp=2)")
    told = kernel("%threads").shown[0]["text/plain"]
    assert "notebook: blas=1. corewise.limits limits libgomp (scikit_learn) to 2 threads." in told
    assert "libgomp (scikit_learn) to 2 threads" in kernel("%threads off").text
    kernel("open.restore()")
    assert "limits libgomp" not in kernel("%threads").shown[0]["text/plain"]


def test_what_a_package_brought_by_its_name(kernel: Kernel) -> None:
    """Answers call the copies openblas (numpy) and openblas (scipy), so that may be typed."""
    said = kernel("%threads blas=2 numpy=1").text
    assert said.startswith("corewise: blas=2 numpy=1 for every cell")
    assert "openblas (numpy) 1 thread (was 2)" in said
    one = "[['blas', 1], ['blas', 2], ['openmp', 2]]"
    assert kernel(NOW).result == one and kernel(NOW).result == one
    kernel("%threads scikit_learn=3")
    assert kernel(NOW).result == "[['blas', 1], ['blas', 2], ['openmp', 3]]"
    assert kernel("%threads openmp=1").text.startswith("corewise: blas=2 numpy=1 openmp=1 for")
    assert kernel("%threads off numpy").text.startswith("corewise: blas=2 openmp=1 for")
    kernel("%threads numpy=1")
    said = kernel("%threads blas=2").text.splitlines()[0]
    assert said == "corewise: blas=2 openmp=1 for every cell of this notebook; numpy=1 ended"
    # By name holds over by kind, whichever is higher.
    kernel("%threads blas=1 numpy=2")
    assert kernel(NOW).result == "[['blas', 2], ['blas', 1], ['openmp', 1]]"
    assert "ended" not in kernel("%threads blas=2 numpy=1").text
    refused = kernel("%threads nunpy=1")
    assert "did you mean numpy?" in refused.text + refused.error


def test_pools_that_fit_alone_but_not_together(kernel: Kernel) -> None:
    kernel("os.environ['OPENBLAS_THREAD_TIMEOUT'] = '16'")
    text = kernel("%threads").shown[0]["text/plain"]
    assert text.startswith("Each pool alone fits your 2 CPUs; together they may run 6 threads.")
    assert kernel("%threads 1").error == ""
    text = kernel("%threads").shown[0]["text/plain"]
    assert text.startswith("Each pool alone fits your 2 CPUs; together they may run 3 threads.")
    kernel("del os.environ['OPENBLAS_THREAD_TIMEOUT']")


def test_all_pools_and_pools_by_name(kernel: Kernel) -> None:
    kernel("%threads 1")
    assert kernel(NOW).result == "[['blas', 1], ['blas', 1], ['openmp', 1]]"
    kernel("%threads libgomp=3  # of one pool")
    assert kernel(NOW).result == "[['blas', 1], ['blas', 1], ['openmp', 3]]"
    kernel("%threads off blas")
    assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 3]]"


def test_what_a_cell_raised_is_limited_again_and_said(kernel: Kernel) -> None:
    kernel("%threads openmp=1")
    kernel("ctypes.CDLL(openmp().path).omp_set_num_threads(5)")
    cell = kernel("openmp().threads")
    assert cell.result == "1"
    assert cell.text == ("corewise: openmp=1 applied again on MainThread: libgomp had 5 since\n")
    assert kernel("openmp().threads").text == ""
    kernel("ctypes.CDLL(openmp().path).omp_set_num_threads(2)\n%threads off")
    kernel("ctypes.CDLL(openmp().path).omp_set_num_threads(2)")


def test_another_thread_that_runs_cells_is_limited_too(kernel: Kernel) -> None:
    subshell = kernel.ask("create_subshell_request")["subshell_id"]
    kernel("%threads openmp=1 blas=1")
    cell = kernel("(threading.current_thread().name, openmp().threads)", subshell=subshell)
    assert cell.result.endswith(", 1)") and "MainThread" not in cell.result
    assert "openmp=1 blas=1 applied again on " in cell.text
    # Set there, it reaches the main thread's OpenMP with its next cell.
    kernel("%threads openmp=7", subshell=subshell)
    cell = kernel("openmp().threads")
    assert cell.result == "7" and "applied again on MainThread" in cell.text
    kernel("%threads off", subshell=subshell)
    kernel.ask("delete_subshell_request", subshell_id=subshell)


def test_a_library_that_comes_later_and_can_do_less(tmp_path: Path) -> None:
    with started(tmp_path) as kernel:
        kernel("%load_ext corewise\n%threads blas=100")
        assert kernel("import numpy, corewise\ncorewise.pools()[0].threads").result == "64"
        subshell = kernel.ask("create_subshell_request")["subshell_id"]
        cell = kernel("1", subshell=subshell)
        assert "blas=100 not applied again on" in cell.text and "at most 64" in cell.text
        assert cell.error == "" and kernel("1", subshell=subshell).text == ""
        assert "at most 64" in kernel("%%threads openmp=1\n1").text
        assert kernel("%threads off\ncorewise.pools()[0].threads").result == "2"


def test_a_cells_limits_end_with_it(kernel: Kernel) -> None:
    for code in (f"%%threads blas=1\n{NOW}", f"%%time\n%%threads blas=1\n{NOW}"):
        assert kernel(code).result == "[['blas', 1], ['blas', 1], ['openmp', 2]]"
        assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"


def test_a_cell_may_go_above_the_notebook(kernel: Kernel) -> None:
    kernel("%threads blas=1 openmp=1")
    assert kernel(f"%%threads blas=2\n{NOW}").result == "[['blas', 2], ['blas', 2], ['openmp', 1]]"
    after = kernel(NOW)
    assert after.result == "[['blas', 1], ['blas', 1], ['openmp', 1]]" and after.text == ""


def test_what_a_cell_does_not_speak_of_is_as_in_the_notebook(kernel: Kernel) -> None:
    kernel("%threads 1")
    assert kernel(f"%%threads blas=2\n{NOW}").result == "[['blas', 2], ['blas', 2], ['openmp', 1]]"
    # What it speaks of by another name is its own.
    kernel("%threads off\n%threads libgomp=1 libscipy_openblas=1")
    assert (
        kernel(f"%%threads openmp=2\n{NOW}").result == "[['blas', 1], ['blas', 1], ['openmp', 2]]"
    )
    for blas in ("blas", "openblas"):
        cell = kernel(f"%%threads {blas}=2\n{NOW}")
        assert cell.result == "[['blas', 2], ['blas', 2], ['openmp', 1]]"
    assert kernel(NOW).result == "[['blas', 1], ['blas', 1], ['openmp', 1]]"


def test_a_cell_is_itself_below_its_limits(kernel: Kernel) -> None:
    awaited = kernel("%%threads blas=1\nimport asyncio\nawait asyncio.sleep(0)\nnow()[0]")
    assert awaited.result == "['blas', 1]"
    for before in ("\n", "\n \n"):
        awaited = kernel(f"{before}%%threads blas=1\nawait asyncio.sleep(0)\nnow()[0]")
        assert awaited.result == "['blas', 1]"
    failed = kernel("%%threads blas=1\n1 / 0")
    assert failed.error == "ZeroDivisionError: division by zero"
    assert kernel(NOW).result.startswith("[['blas', 2]")
    kernel("%%threads blas=1\n%%capture kept\nprint(now()[0])")
    assert kernel("print(kept.stdout)").text == "['blas', 1]\n\n"


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        (
            "%threads openmp=0  # few",
            "'openmp=0': expected a whole number of threads from 1 to 32768",
        ),
        ("%threads openmp=2.5", "expected a whole number"),
        ("%threads openmp=-1", "expected a whole number"),
        ("%threads blas=", "expected a whole number"),
        ("%threads -4", "expected a whole number"),
        ("%threads " + "9" * 5000, "expected a whole number"),
        ("%threads blas=" + "9" * 5000, "expected a whole number"),
        ("%threads opnmp=2", "'opnmp' (did you mean openmp?); known here: "),
        ("%threads blsa", "blas=4 (did you mean blas?)"),
        ("%threads repport", "'repport': did you mean %threads report?"),
        ("%threads of", "'of': did you mean %threads off?"),
        ("%threads whyy", "'whyy': did you mean %threads why?"),
        ("%threads OpenMP=2", "did you mean openmp?"),
        ("%threads OPENMP=2", "did you mean openmp?"),
        ("%threads openmp", "openmp needs a number: write openmp=8"),
        ("%threads --openmp", "openmp needs a number: write openmp=8"),
        ("%threads --openmp --blas 4", "openmp needs a number: write openmp=8"),
        ("%threads on", "did you mean %govern on?"),
        ("%threads --openmp -1", "expected a whole number"),
        ("%threads openmp=1, blas=x", "'blas=x'"),
        ("%threads 2 3", "2 and 3 name the same pools"),
        ("%threads blas=1 openmp=x", "'openmp=x'"),
        ("%threads blas=1 blas=2", "name the same pools"),
        ("%threads 4 blas=2", "for all pools"),
        ("%threads off now", "no limit called 'now'"),
        ("%threads reset now", "without 'now'"),
        ("%threads blas=1000", "built for at most"),
        ("%%threads\n1", "needs the limits of the cell"),
        ("%%threads off\n1", "write openmp=8"),
        ("%govern maybe", "does not know 'maybe'"),
        ("%govern on 1 2", "does not know 'on 1 2'"),
        ("%govern on weight=7", "write weight = 7 below [govern] in corewise.toml"),
        ("%govern on group=ours", 'write group = "ours" below [govern] in corewise.toml'),
        ("%govern on lots", "'lots' is not a number of threads"),
        ("%govern on budget=lots", "'lots' is not a number of threads"),
        ("%govern on 0", "budget=0: give a number above 0"),
        ("%govern on 4096", "above the machine"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(kernel: Kernel, typed: str, word: str) -> None:
    kernel("%threads openmp=1")
    cell = kernel(typed)
    assert "UsageError: " in cell.text + cell.error and word in cell.text + cell.error
    assert len((cell.text or cell.error).splitlines()) == 1
    assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 1]]"
    assert kernel("corewise.govern_report()['governed']").result == "False"


def test_what_may_kill_the_kernel_is_said_once_and_before(kernel: Kernel) -> None:
    danger = "corewise: danger: 1,000 threads may call OpenBLAS at once, which has room for 127 ("
    said = kernel("%threads openmp=1000").text
    assert said.count(danger) == 1
    assert "What to do: %govern on, or %threads openmp=2" in said
    assert "OMP_NUM_THREADS" not in said
    assert "corewise: danger: 200 threads may call" in kernel("%threads openmp=200").text
    assert kernel(NOW).text == ""
    kernel("%threads off\nctypes.CDLL(openmp().path).omp_set_num_threads(999)")
    assert danger.replace("1,000", "999") in kernel("None").text
    kernel("ctypes.CDLL(openmp().path).omp_set_num_threads(2)\n%govern on")
    assert "danger" not in kernel("%threads openmp=998").text
    kernel("%govern off")
    assert "danger: 191 threads may call" in kernel("%threads openmp=191").text


def test_counts_to_type_are_whole_cpus(kernel: Kernel) -> None:
    """As the doctor advises; more than 1.5 CPUs are 3 threads, though."""
    kernel("os.environ['COREWISE_BUDGET'] = '1.5'")
    assert "What to do: %govern on, or %threads openmp=1\n" in kernel("%threads openmp=1000").text
    for typed, told in (
        ("%threads openmp=3", "Too many threads: libgomp (scikit_learn) may use 3, and you have"),
        ("%threads openmp=2", "Each pool alone fits your 1.5 CPUs, but"),
    ):
        kernel(typed)
        shown = kernel("%threads").shown[0]
        assert shown["text/plain"].startswith(told)
        assert "Where the 1.5 CPUs come from" in shown["text/html"]
        assert ("%threads openmp=1." in shown["text/plain"]) == (typed[-1] == "3")
    kernel("os.environ['COREWISE_BUDGET'] = '1'")
    assert "Where the 1 CPU comes from" in kernel("%threads").shown[0]["text/html"]
    kernel("del os.environ['COREWISE_BUDGET']")


def test_governing(kernel: Kernel) -> None:
    assert kernel("%govern off").text == "corewise: %govern was not on; nothing changed\n"
    for on in ("on 1", "on --budget 1", "on --budget=1", "on budget=1", "on, budget = 1"):
        assert kernel("%govern on").text == "corewise: governed, budget 2\n"
        assert kernel(f"%govern {on}").text == "corewise: governed, budget 1\n"
    assert "above the machine" in kernel("%govern on 4096").text
    kernel("numpy.linalg.svd(numpy.ones((200, 200)));")
    for magic in ("%govern", "%threads report"):
        (shown,) = kernel(magic).shown
        assert shown["text/plain"].startswith("Governed, budget 1. ")
        assert "gets what is free at each call" in shown["text/html"]
    (shown,) = kernel("%threads").shown
    assert shown["text/plain"].startswith(
        "Governed: corewise shares a budget of 1 thread, on 2 CPUs. OpenMP teams that it must not"
    )
    kernel("%threads blas=4")
    (shown,) = kernel("%threads").shown
    assert "; governed: 1 at a time" in shown["text/plain"]
    assert "too many" not in shown["text/html"] and 'class="over"' not in shown["text/html"]
    kernel("%threads off")
    assert kernel("%govern off").text == "corewise: not governed any more\n"
    assert kernel("corewise.govern_report()['governed']").result == "False"


def test_workers_are_told_as_a_product(kernel: Kernel) -> None:
    kernel(
        "import concurrent.futures, multiprocessing, time\n"
        "pool = concurrent.futures.ProcessPoolExecutor(3, multiprocessing.get_context('fork'))\n"
        "list(pool.map(time.sleep, [.3] * 3))"
    )
    text = kernel("%threads").shown[0]["text/plain"]
    assert text.startswith(
        "Too many threads: 3 processes \u00d7 2 OpenBLAS threads = 6 threads for 2 CPUs."
    )
    assert "What to do: %govern on, or %threads blas=1, before the workers start." in text
    kernel("pool.shutdown()")
    assert kernel("%threads").shown[0]["text/plain"].startswith("Each pool alone fits")


def test_the_tab_key_and_the_question_mark(kernel: Kernel) -> None:
    assert kernel.complete("%threads bl") == ["blas="]
    assert set(kernel.complete("%threads blas=1 lib")) == {"libgomp=", "libscipy_openblas="}
    assert kernel.complete("%threads rep") == ["report"]
    kernel("%threads libgomp=2 blas=2")
    assert set(kernel.complete("%threads off ")) >= {"libgomp", "blas"}
    assert kernel.complete("%%threads ope") == ["openmp=", "openblas="]
    assert kernel.complete("%govern of") == ["off"]
    for asked in ("help", "--help", "-h"):
        assert "%threads off blas " in kernel(f"%threads {asked}").text
    assert "%govern on budget=8" in kernel("%govern help").text


def test_notebooks_that_share_a_kernel_are_told(kernel: Kernel) -> None:
    second = kernel.other()
    kernel("%threads")
    assert "uses this kernel too" not in second("%threads blas=1").text
    assert "uses this kernel too" in kernel("%threads blas=2").text
    assert "uses this kernel too" in second("%threads").shown[0]["text/plain"]
    kernel.drain()
    second.client.stop_channels()


def test_values_show_themselves_with_a_text_twin(kernel: Kernel) -> None:
    shown = kernel(
        "for what in (corewise.info(), corewise.budget(), corewise.plan(processes=2),\n"
        "             corewise.doctor(), corewise.govern_report()):\n"
        "    display(what)"
    ).shown
    assert len(shown) == 5
    for data in shown:
        assert len(data["text/plain"]) > 20 and "</div>" in data["text/html"]


def test_loading_twice_and_unloading(kernel: Kernel) -> None:
    assert "already loaded" in kernel("%load_ext corewise").text
    kernel("%threads 1\n%govern on")
    kernel("%unload_ext corewise")
    assert kernel(NOW).result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"
    assert kernel("corewise.govern_report()['governed']").result == "False"
    assert "not found" in kernel("%threads").text
    kernel("%load_ext corewise")


def _die(kernel: Kernel) -> None:
    kernel.send("import ctypes; ctypes.string_at(16)")
    for _ in range(300):
        if not kernel.manager.is_alive():
            break
        time.sleep(0.1)
    assert not kernel.manager.is_alive()


@pytest.mark.parametrize("notebook", ["fit.ipynb", ""])
def test_the_next_kernel_says_what_killed_the_one_before(tmp_path: Path, notebook: str) -> None:
    with started(tmp_path, notebook) as dying:
        assert dying("%load_ext corewise").text == ""
        _die(dying)
    who = notebook or "a notebook's kernel"
    with started(tmp_path, notebook) as after:
        said = after("%load_ext corewise").text
        assert said.startswith(f"corewise: less than a minute ago {who} died by SIGSEGV")
        assert said.endswith("See %threads why\n")
        cell = after("%threads why")
        assert cell.text == ""
        for part in (f"{who[-6:]} died by SIGSEGV in libc.so.6", "faulthandler"):
            assert part in cell.shown[0]["text/plain"] and part in cell.shown[0]["text/html"]
        told = after("import corewise\ncorewise.jupyter._deaths.just_died()").shown[0]
        assert told["application/json"]["headline"].startswith(f"{who} died by SIGSEGV")  # type: ignore[index]
    if notebook:  # another one in the same folder did not die
        with started(tmp_path, "other.ipynb") as other:
            assert other("%load_ext corewise").text == ""
            told = other("import corewise\ncorewise.jupyter._deaths.just_died()").shown[0]
            assert "application/json" not in told
            cell = other("%threads why")
            assert "this notebook left no report" in cell.text
            assert "fit.ipynb died" in cell.shown[0]["text/plain"]
