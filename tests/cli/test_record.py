"""Recording what ran when, and the page that shows it."""

import json
import re
import resource
import signal
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
    assert "Oversubscribed for" in done.stderr, done.stderr
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
    assert pools.count("program") >= 8
    page = base.with_suffix(".html").read_text()
    assert "Oversubscribed for" in page and "prefers-color-scheme:dark" in page
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
    says = "Oversubscribed for 50 % of the time (1.0 of 2.0 s): then 4.0 threads were ready"
    assert says in done.stderr
    page = file.with_suffix(".html").read_text()
    assert "a &lt;b&gt; &amp; ?" in page and "workers of openblas" in page
    svg = svg_of(page)
    # The red part is the second half.
    red = [r for r in svg.getElementsByTagName("rect") if r.getAttribute("class") == "o"]
    assert red and min(float(r.getAttribute("x")) for r in red) >= 170 + 900 / 2 - 3


def test_a_calm_recording_says_so(corewise, tmp_path):
    file = tmp_path / "calm.jsonl"
    file.write_text(text_of(RECORDING[:4]))
    done = corewise("record", "--html", str(file))
    assert "Not oversubscribed" in done.stderr


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
