"""corewise budget: of this machine and of a recorded one."""

import json
import shutil
import subprocess

import pytest
from conftest import CLEAN, need


@pytest.mark.parametrize("columns", [80, 120])
def test_a_recorded_machine(corewise, golden, machine, columns):
    done = corewise("budget", "--recorded", str(machine), env={"COLUMNS": str(columns)})
    assert done.returncode == 0 and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= columns
    golden(f"budget-{columns}.txt", done.stdout)


def test_less_than_one_cpu(corewise, machine):
    done = corewise("budget", "--recorded", str(machine), "--cap", "0.5")
    assert done.stdout.startswith("Budget: 0.5 CPUs\n  floor       1  a program has at least one")
    assert "a CPU each" not in done.stdout


def test_a_path_that_does_not_fit_beside_the_numbers_stands_below(corewise, machine):
    done = corewise("budget", "--recorded", str(machine), env={"COLUMNS": "50"})
    where = "/sys/fs/cgroup/user.slice/cpu.max:"
    assert f"\n    {where}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 50


@pytest.mark.parametrize("first", [True, False])
def test_the_usual_mount_is_named_not_one_in_somebodys_chroot(corewise, machine, first):
    """Both show the same cgroup; the other is gone when that root is unmounted."""
    table = machine / "proc/self/mountinfo"
    usual = table.read_text()
    other = "99 24 0:26 / /somebodys/chroot/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    table.write_text(other + usual if first else usual + other)
    (machine / "somebodys/chroot").mkdir(parents=True)
    shutil.copytree(machine / "sys", machine / "somebodys/chroot/sys")
    told = json.loads(corewise("budget", "--recorded", str(machine), "--json").stdout)
    assert [c["where"] for c in told["constraints"] if c["binding"]] == [
        "/sys/fs/cgroup/user.slice/cpu.max"
    ]


def test_json_has_each_constraint_and_marks_what_binds(corewise, machine):
    told = json.loads(corewise("budget", "--recorded", str(machine), "--json").stdout)
    assert (told["cpus"], told["floor"], told["ceil"]) == (2.5, 2, 3)
    assert [c["source"] for c in told["constraints"] if c["binding"]] == ["quota"]
    assert told["topology"]["cores"] == 4
    assert "COREWISE_BUDGET was ignored" in told["findings"][0]


def test_a_cap_binds(corewise, machine):
    told = json.loads(
        corewise("budget", "--recorded", str(machine), "--cap", "1500m", "--json").stdout
    )
    assert told["cpus"] == 1.5
    assert [c["where"] for c in told["constraints"] if c["binding"]] == ["argument"]


@pytest.mark.parametrize(
    "cap", ["0", "-1", "nan", "inf", "-0", "1e999", "", " ", "two", "1,5", "8m8", "9", "0x4"]
)
@pytest.mark.parametrize("command", ["budget", "plan"])
def test_caps_that_make_no_sense(corewise, machine, command, cap):
    done = corewise(command, "--recorded", str(machine), f"--cap={cap}")
    if cap == "":  # CLI11 takes what follows as the value
        done = corewise(command, "--recorded", str(machine), "--cap", "")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"corewise: error: {command}: ")


def test_a_variable_that_is_no_number_is_said_and_left_out(corewise):
    told = json.loads(corewise("budget", "--json", env={"COREWISE_BUDGET": "many"}).stdout)
    assert "COREWISE_BUDGET was ignored" in " ".join(told["findings"])
    assert "user" not in [constraint["source"] for constraint in told["constraints"]]


@need("taskset")
def test_affinity_binds(program):
    done = subprocess.run(
        ["taskset", "-c", "0", program, "budget", "--json"], env=CLEAN, capture_output=True
    )
    assert json.loads(done.stdout)["allowed"] == "0"


@pytest.mark.parametrize("command", ["budget", "plan"])
def test_a_folder_that_is_no_machine(corewise, tmp_path, command):
    (tmp_path / "empty").mkdir()
    for folder in ("/no/such", str(tmp_path / "empty")):
        done = corewise(command, "--recorded", folder)
        assert done.returncode == 1 and done.stdout == "" and "holds no recorded" in done.stderr


def test_garbage_is_said_not_believed(corewise, machine):
    (machine / "sys/fs/cgroup/user.slice/cpu.max").write_bytes(b"\xff\x1b[31m garbage\n")
    done = corewise("budget", "--recorded", str(machine))
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert "cpu.max" in done.stdout and "garbage" in done.stdout
    shutil.rmtree(machine / "sys")
    assert corewise("budget", "--recorded", str(machine)).returncode == 0


def test_info_knows_quotas_of_every_kind(corewise):
    shown = corewise("info").stdout
    told = json.loads(corewise("budget", "--json").stdout)
    quotas = [c["cpus"] for c in told["constraints"] if c["source"] == "quota"]
    assert json.loads(corewise("info", "--json").stdout)["cpu_quota"] == min(quotas, default=None)
    assert f"Budget        {told['cpus']:.4g} CPU" in shown
