"""Recording what ran when, and the page that shows it."""

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import xml.dom.minidom

import pytest

BUSY = """
import threading, time, hashlib
def work():
    end = time.monotonic() + 1.0
    while time.monotonic() < end: hashlib.sha256(bytes(10_000_000)).digest()
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
"""


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def svg_of(page):
    return xml.dom.minidom.parseString(re.search(r"<svg.*</svg>", page, re.S).group())


def test_a_command_is_recorded(corewise, tmp_path):
    base = tmp_path / "busy"
    done = corewise(
        "record", "-o", str(base), "--", sys.executable, "-c", BUSY + "raise SystemExit(7)"
    )
    assert done.returncode == 7
    assert "Too many threads for" in done.stderr, done.stderr
    events = lines_of(base.with_suffix(".jsonl"))
    assert [events[0]["event"], events[-1]["event"]] == ["start", "end"]
    # It may be met before it becomes the command, and is told of again then.
    *before, process = [event for event in events if event["event"] == "process"]
    assert {event["pid"] for event in before} <= {process["pid"]}
    samples = [event for event in events if event["event"] == "sample"]
    assert any(len(sample["threads"]) >= 8 for sample in samples)
    for sample in samples:
        for pid, _, cpu, delay in sample["threads"]:
            assert pid == process["pid"] and 0 <= cpu <= 1 and 0 <= delay <= 1
    # The program's threads are known as such, since the library was loaded into it.
    pools = [event["pool"] for event in events if event["event"] == "thread"]
    assert pools.count("program") >= 8 and pools.count("corewise") <= 1
    assert all(sample["others"] >= 0 for sample in samples)
    page = base.with_suffix(".html").read_text()
    assert "Too many threads for" in page and "prefers-color-scheme: dark" in page
    assert not re.search(r"(src|href)=", page)
    svg = svg_of(page)
    assert svg.getElementsByTagName("title") and svg.getElementsByTagName("desc")


RECORDING = [
    {"event": "start", "schema_version": 1, "time": "2026-01-01T00:00:00Z", "budget": 2},
    {"event": "process", "t": 0, "pid": 7, "parent": 1, "command": "a <b> & \udcff"},
    {"event": "thread", "t": 0, "pid": 7, "tid": 8, "pool": "openblas", "library": "x.so"},
    {"event": "sample", "t": 1, "dt": 1, "threads": [[7, 7, 1, 0], [7, 8, 1, 0]]},
    {"event": "sample", "t": 2, "dt": 1, "threads": [[7, 7, 0.5, 0.5], [7, 8, 1, 0], [7, 9, 1, 1]]},
    {"event": "end", "t": 2},
]


def text_of(events):
    return "".join(json.dumps({"command": "job"} | event) + "\n" for event in events)


def test_the_page_of_a_known_recording(corewise, tmp_path):
    file = tmp_path / "known.jsonl"
    file.write_text(text_of(RECORDING) + '{"event":"sam')
    done = corewise("record", "--html", str(file))
    assert done.returncode == 0, done.stderr
    says = "Too many threads for 50 % of the time (1.0 of 2.0 s): 4.0 were ready to run on average"
    assert says in done.stderr
    page = file.with_suffix(".html").read_text()
    assert r"a &lt;b&gt; &amp; \xff" in page and "BLAS: openblas" in page
    svg = svg_of(page)
    # The red part is the second half.
    red = [r for r in svg.getElementsByTagName("rect") if r.getAttribute("class") == "o"]
    assert red and min(float(r.getAttribute("x")) for r in red) >= 170 + 900 / 2 - 3


def page_of(corewise, tmp_path, events, env=None):
    file = tmp_path / "some.jsonl"
    file.write_text(text_of(events))
    done = corewise("record", "--html", str(file), env=env)
    assert done.returncode == 0, done.stderr
    return done.stderr, file.with_suffix(".html").read_text()


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_long_commands_are_cut_between_characters(corewise, tmp_path, locale):
    """The page is UTF-8, whatever the terminal is."""
    named = {"event": "process", "t": 0, "pid": 7, "parent": 1, "command": "\u00e9" * 300}
    _, page = page_of(corewise, tmp_path, [RECORDING[0], named, *RECORDING[2:]], {"LC_ALL": locale})
    words = [t.firstChild.data for t in svg_of(page).getElementsByTagName("text")]
    assert "7 " + "\u00e9" * 119 + "\u2026" in words


def rects(svg, kind):
    return [r for r in svg.getElementsByTagName("rect") if r.getAttribute("class") == kind]


def test_a_pool_keeps_its_colour_when_no_cpu_is_free(corewise, tmp_path):
    threads = [[7, tid, 0.25, 0.75] for tid in range(8, 16)]
    events = [
        *RECORDING[:2],
        *(
            {"event": "thread", "t": 0, "pid": 7, "tid": t, "pool": "openblas"}
            for t in range(8, 16)
        ),
        {"event": "sample", "t": 1, "dt": 1, "threads": threads},
        {"event": "end", "t": 1},
    ]
    svg = svg_of(page_of(corewise, tmp_path, events)[1])
    # Those of the lines; the chart above them and the definition of the stripes have the hue too.
    solid = [r for r in rects(svg, "c1") if r.parentNode.tagName == "g"]
    striped = rects(svg, "h1")
    assert len(solid) == 8 and len(striped) == 8
    assert {r.getAttribute("height") for r in striped} == {"6.0"}
    titles = [t.firstChild.data for t in svg.getElementsByTagName("title")]
    assert "openblas, thread 8: 0.25 s on a CPU, 0.75 s ready without one" in titles
    assert "at 0.0 s: 8.0 threads ready to run, BLAS 8.0" in titles


def test_the_chart_stacks_the_pools(corewise, tmp_path):
    svg = svg_of(page_of(corewise, tmp_path, RECORDING)[1])
    # In the first half a thread of the pool and, on it, one that is not known.
    pool, other = (
        [r for r in rects(svg, kind) if r.parentNode.tagName == "svg"] for kind in ("c1", "c4")
    )
    assert len(pool) == len(other) == 450
    top = [float(bars[0].getAttribute("y")) for bars in (pool, other)]
    height = float(pool[0].getAttribute("height"))
    assert top[0] + height == 115 and top[1] + height == pytest.approx(top[0], abs=0.11)
    assert not rects(svg, "a")


def processes_with_pools(numbers, workers):
    """Events of so many processes, each with so many workers of OpenBLAS that are always ready."""
    threads = []
    for pid in numbers:
        yield {"event": "process", "t": 0, "pid": pid, "parent": 1, "command": "job"}
        threads.append([pid, pid, 0.5, 0.5])
        for tid in range(pid + 1, pid + 1 + workers(pid)):
            yield {"event": "thread", "t": 0, "pid": pid, "tid": tid, "pool": "openblas"}
            threads.append([pid, tid, 0.5, 0.5])
    yield {"event": "sample", "t": 1, "dt": 1, "threads": threads}


@pytest.mark.parametrize(
    ("command", "workers", "says"),
    [
        ("job --x '&'", lambda _: 3,
         "2 processes \N{MULTIPLICATION SIGN} 4 OpenBLAS threads = 8 threads for 2 CPUs. "
         "What to do: corewise run -- job --x '&'"),
        # Not the same in each: what is a product then?
        ("job", lambda pid: pid // 10, "What to do: corewise run -- job"),
        ("python -m ipykernel_launcher -f x", lambda _: 3,
         "What to do: %govern on, in the notebook"),
        ("/usr/bin/corewise run -q -- job", lambda _: 3, "8 threads for 2 CPUs.\n"),
    ],
)  # fmt: skip
def test_the_cause_and_the_cure(corewise, tmp_path, command, workers, says):
    events = [RECORDING[0] | {"command": command}, *processes_with_pools((10, 20), workers)]
    said, page = page_of(corewise, tmp_path, events)
    assert says in said
    assert ("What to do: " in said) == ("What to do: <code>" in page) == ("What to do: " in says)
    if "2 processes" in says:
        assert (
            "2 processes \N{MULTIPLICATION SIGN} 4 OpenBLAS threads = 8 threads for 2 CPUs." in page
        )
        assert "<code>corewise run -- job --x '&amp;'</code>" in page


def test_processes_one_after_another_are_no_product(corewise, tmp_path):
    first, second = ([*processes_with_pools((pid,), lambda _: 3)] for pid in (10, 20))
    events = [RECORDING[0], *first, *second[:-1], second[-1] | {"t": 2}]
    said, _ = page_of(corewise, tmp_path, events)
    assert "1 process \N{MULTIPLICATION SIGN} 4 OpenBLAS threads = 4 threads for 2 CPUs." in said


def test_helpers_and_our_own_threads_have_no_lines(corewise, tmp_path):
    events = [
        *RECORDING[:2],
        {"event": "process", "t": 0, "pid": 20, "parent": 7, "command": "lscpu -p"},
        {"event": "thread", "t": 0, "pid": 7, "tid": 9, "pool": "corewise"},
        {"event": "sample", "t": 10, "dt": 10, "threads": [[7, 7, 1, 0], [7, 9, 1, 1]]},
        {"event": "sample", "t": 10.02, "dt": 0.02, "threads": [[20, 20, 1, 0]]},
    ]
    said, page = page_of(corewise, tmp_path, events)
    assert "All fits" in said
    words = [t.firstChild.data for t in svg_of(page).getElementsByTagName("text")]
    assert "ran for a moment: lscpu" in words and not any(w.startswith("20 ") for w in words)
    assert not any(w.endswith(" 9") for w in words)
    # Round marks, and room for the last one.
    marks = [w for w in words if re.fullmatch(r"[\d.]+ s", w)]
    assert marks == ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]


def test_load_of_others_is_not_the_programs(corewise, tmp_path):
    events = [
        *RECORDING[:2],
        {"event": "sample", "t": 1, "dt": 1, "threads": [[7, 7, 0.5, 0.5]], "others": 6},
    ]
    said, _ = page_of(corewise, tmp_path, events)
    assert "All fits" in said
    assert (
        "Other programs wanted the CPUs too (6.0 threads on average): when ready to run, " in said
    )
    assert "your threads waited for a CPU 50 % of the time" in said


def test_a_trace_for_perfetto(corewise, tmp_path):
    file = tmp_path / "known.jsonl"
    file.write_text(text_of(RECORDING))
    done = corewise("record", "--html", str(file), "--format", "perfetto")
    assert done.returncode == 0 and "known.trace.json at https://ui.perfetto.dev" in done.stderr
    # Nothing was recorded just now.
    assert f"made from {file}; open" in done.stderr and "recorded to" not in done.stderr
    assert not file.with_suffix(".html").exists()
    text = (tmp_path / "known.trace.json").read_text(errors="surrogateescape")
    events = json.loads(text)["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names == {7: "unknown", 8: "openblas", 9: "unknown"}
    (blas,) = [e for e in events if e["ph"] == "X" and e["tid"] == 8]
    assert (blas["name"], blas["pid"], blas["ts"], blas["dur"]) == ("openblas", 7, 0, 2_000_000)
    counters = [e["args"] for e in events if e["ph"] == "C"]
    assert counters[0] == {"on a CPU": 2, "no CPU free": 0}
    assert counters[1] == {"on a CPU": 2.5, "no CPU free": 1.5}


def test_a_process_that_ended_keeps_its_name(corewise, tmp_path):
    """A zombie has no command line any more."""
    code = "import subprocess, time; p = subprocess.Popen(['sleep', '0.3']); time.sleep(1)"
    base = tmp_path / "x"
    corewise("record", "-o", str(base), "--", sys.executable, "-c", code)
    named = [e["command"] for e in lines_of(base.with_suffix(".jsonl")) if e["event"] == "process"]
    assert "sleep 0.3" in named and "sleep" not in named


def test_ungoverned_and_governed_on_one_page(corewise, tmp_path):
    base = tmp_path / "both"
    code = "import os, sys; sys.exit(3 if os.environ.get('COREWISE_GOVERN') != '1' else 4)"
    done = corewise("record", "--compare", "-o", str(base), "--", sys.executable, "-c", code)
    assert done.returncode == 3, done.stderr
    assert re.search(r"Ungoverned it took [\d.]+ s, governed [\d.]+ s\.", done.stderr)
    governed = lines_of(tmp_path / "both-governed.jsonl")
    assert " run -q --govern -- " in governed[0]["command"] and governed[-1]["event"] == "end"
    page = base.with_suffix(".html").read_text()
    assert page.index("<h2>Ungoverned") < page.index("<h2>Governed")
    ids = re.findall(r'\bid="(\w+)"', page)
    assert len(ids) == len(set(ids)) and {"t0", "t1"} <= set(ids)
    both = [xml.dom.minidom.parseString(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.S)]
    marks = [
        [t.firstChild.data for t in svg.getElementsByTagName("text") if t.firstChild]
        for svg in both
    ]
    assert [m for m in marks[0] if m.endswith(" s")] == [m for m in marks[1] if m.endswith(" s")]
    assert corewise("record", "--compare", "--pid", "1").returncode == 2


def test_a_calm_recording_says_so(corewise, tmp_path):
    file = tmp_path / "calm.jsonl"
    file.write_text(text_of(RECORDING[:4]))
    done = corewise("record", "--html", str(file))
    assert "more threads ready to run than your 2 CPUs at no time." in done.stderr
    assert "All fits: in 1.0 s" in done.stderr
    assert "Other programs" not in done.stderr


@pytest.mark.parametrize("crowded, fits", [(0.04, True), (0.06, False)])
def test_a_moment_with_too_many_threads_needs_no_cure(corewise, tmp_path, crowded, fits):
    second = RECORDING[4]
    events = [
        *RECORDING[:3],
        {"event": "sample", "t": 1 - crowded, "dt": 1 - crowded, "threads": [[7, 7, 1, 0]]},
        second | {"t": 1, "dt": crowded},
    ]
    said, _ = page_of(corewise, tmp_path, events)
    assert ("for 4.0 % of the time only." in said) == fits
    assert ("Too many threads for 6 % of the time" in said) == (not fits)
    assert ("What to do: " in said) == (not fits)


@pytest.mark.parametrize(
    "text, words",
    [("", "line 1"), ("{}\n", "line 1"), (text_of(RECORDING[:2]) + "x\n\n{}\n", "line 3")],
)
def test_what_is_no_recording(corewise, tmp_path, text, words):
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    done = corewise("record", "--html", str(file))
    assert done.returncode == 1 and words in done.stderr
    assert not file.with_suffix(".html").exists()


@pytest.mark.parametrize(
    "words, code",
    [
        ([], 2),
        (["--pid", "1", "--", "true"], 2),
        (["--pid", "4194304"], 3),
        (["--interval", "1", "--", "true"], 2),
        (["--seconds", "-1", "--", "true"], 2),
        (["--seconds", "5m", "--", "true"], 2),
        (["--html", "x.jsonl", "--seconds", "3"], 2),
        (["--html", "x.jsonl", "--interval", "30"], 2),
        (["-o", "/nowhere/x", "--", "true"], 1),
        (["--html", "/nowhere/x.jsonl"], 1),
        (["--html", "x.jsonl", "--", "true"], 2),
        (["--html", "x.jsonl", "--pid", "1"], 2),
    ],
)
def test_wrong_words(corewise, words, code):
    assert corewise("record", *words).returncode == code


def test_a_full_disk_is_said(corewise, tmp_path):
    """Here a limit on the size of files, whose signal is ignored."""

    def narrow():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = corewise("record", "-o", str(tmp_path / "x"), "--", "true", preexec_fn=narrow)
    assert done.returncode == 1 and "x.jsonl is not whole: is the disk full?" in done.stderr


def test_the_page_lies_beside_its_recording(corewise, tmp_path):
    assert corewise("record", "-o", str(tmp_path / "x"), "--", "true").returncode == 0
    (folder := tmp_path / "a.jsonl").mkdir()
    (tmp_path / "x.jsonl").rename(folder / "b")
    assert corewise("record", "--html", str(folder / "b")).returncode == 0
    assert (folder / "b.html").exists()


def test_the_page_has_the_name_that_is_given(corewise, tmp_path):
    assert corewise("record", "-o", str(tmp_path / "x"), "--", "true").returncode == 0
    before = (tmp_path / "x.html").read_text()
    (tmp_path / "x.html").write_text("precious")
    words = ["--html", str(tmp_path / "x.jsonl"), "-o", str(tmp_path / "pretty")]
    assert corewise("record", *words).returncode == 0
    assert (tmp_path / "pretty.html").read_text() == before
    assert (tmp_path / "x.html").read_text() == "precious"


def test_the_command_can_be_pasted_into_a_shell(corewise, tmp_path):
    words = [sys.executable, "-c", "import os; print('it is', os.getpid())"]
    corewise("record", "-o", str(tmp_path / "x"), "--", *words)
    assert shlex.split(lines_of(tmp_path / "x.jsonl")[0]["command"]) == words


def test_compare_governs_where_the_file_says_off(corewise, tmp_path):
    (tmp_path / "corewise.toml").write_text("[govern]\non = false\n")
    code = "import os, sys; sys.exit(3 if os.environ.get('COREWISE_GOVERN') != '1' else 4)"
    words = ["record", "--compare", "-o", "both", "--", sys.executable, "-c", code]
    done = corewise(*words, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    ends = [lines_of(tmp_path / f"both{end}.jsonl")[0] for end in ("", "-governed")]
    assert "--govern" in ends[1]["command"]
    assert corewise("run", "-q", "--", *words[5:], cwd=tmp_path).returncode == 3
    assert corewise("run", "-q", "--govern", "--", *words[5:], cwd=tmp_path).returncode == 4
    assert corewise("run", "--govern", "--no-govern", "--", "true").returncode == 2


def test_a_comparison_on_a_busy_machine_claims_nothing(corewise, tmp_path):
    work = "while True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", work]) for _ in range(os.cpu_count() + 1)]
    try:
        base = tmp_path / "both"
        code = "import time; time.sleep(0.5)"
        done = corewise("record", "--compare", "-o", str(base), "--", sys.executable, "-c", code)
    finally:
        for child in busy:
            child.kill()
            child.wait()
    said = r"Other programs kept [\d.]+ threads ready meanwhile: compare the times only on a quiet"
    assert re.search(said, done.stderr), done.stderr
    assert re.search(said, base.with_suffix(".html").read_text())


def test_what_cannot_be_governed_cannot_be_compared(corewise, tmp_path):
    done = corewise("record", "--compare", "-o", str(tmp_path / "x"), "--", "/sbin/ldconfig", "-V")
    assert done.returncode == 2 and "statically linked" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_start_leaves_the_recording_before(corewise, tmp_path):
    before = tmp_path / "before.jsonl"
    before.write_text("precious")
    done = corewise("record", "-o", str(tmp_path / "before"), "--", "no-such-program-here")
    assert done.returncode == 127 and "was not found" in done.stderr
    assert before.read_text() == "precious" and list(tmp_path.iterdir()) == [before]
    assert corewise("record", "-o", "", "--", "true").returncode == 2


def test_a_running_process(corewise, tmp_path):
    base = tmp_path / "self"
    done = corewise("record", "-o", str(base), "--pid", "1", "--seconds", "0.3")
    assert done.returncode == 0
    assert lines_of(base.with_suffix(".jsonl"))[1]["pid"] == 1
