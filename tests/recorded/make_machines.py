#!/usr/bin/env python3
"""Writes the recorded and constructed machines, one folder each: proc/, sys/, env, expect.json.

    make_machines.py FOLDER

The tables in machines/ hold each machine and the answer a person worked out for it from the rules
in docs/budget.md. Nothing here is computed by corewise. tests/unit/budget/test_machines.cpp runs this
script and compares every machine; test_hwloc.cpp shows hwloc the same folders.
"""

import json
import math
import sys
from pathlib import Path

sys.dont_write_bytecode = True


def as_list(cpus):
    """{0, 1, 2, 5} as the kernel's "0-2,5"."""
    parts, run = [], []
    for cpu in sorted(cpus):
        if run and cpu == run[-1] + 1:
            run.append(cpu)
            continue
        if run:
            parts.append(run)
        run = [cpu]
    if run:
        parts.append(run)
    return ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def as_set(text):
    """The kernel's "0-2,5" as a set."""
    cpus = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def as_mask(cpus, width):
    """A set as the kernel's mask of `width` CPUs, "00000000,000000ff"."""
    value = sum(1 << cpu for cpu in cpus)
    groups = [f"{(value >> shift) & 0xFFFFFFFF:08x}" for shift in range(0, width, 32)]
    return ",".join(reversed(groups))


def status(mask, width=32):
    """The lines of /proc/self/status that matter, among others that must be passed over."""
    return (
        "Name:\tpython\nState:\tR (running)\nTgid:\t4711\nPid:\t4711\nThreads:\t7\n"
        f"Cpus_allowed:\t{as_mask(as_set(mask), width)}\nCpus_allowed_list:\t{mask}\n"
        "Mems_allowed_list:\t0\nvoluntary_ctxt_switches:\t12\n"
    )


def cores(sockets, per_socket, threads=1, near=False):
    """A list of (cpus of the core, package). Far: all first threads come first, as on most x86
    servers. Near: the threads of a core are neighbours, as on Power and Intel's P cores."""
    total = sockets * per_socket
    result = []
    for core in range(total):
        if near:
            cpus = [core * threads + t for t in range(threads)]
        else:
            cpus = [core + t * total for t in range(threads)]
        result.append((cpus, core // per_socket))
    return result


def topology(core_list, nodes=None, online=None, new_names=False, only=None):
    """The files of /sys/devices/system for these cores; `nodes` maps a node to its CPU list. With
    `only`, a CPU list, no more than corewise reads of these CPUs: too little for hwloc, but quick
    to write."""
    every = {cpu for cpus, _ in core_list for cpu in cpus}
    online = as_set(online) if online else every
    width = max(every) + 1
    base = "sys/devices/system"
    files = {
        f"{base}/cpu/online": as_list(online),
        f"{base}/cpu/possible": as_list(every),
        f"{base}/cpu/present": as_list(every),
        f"{base}/cpu/offline": as_list(every - online),
        f"{base}/cpu/isolated": "",
    }
    packages = {}
    for cpus, package in core_list:
        packages.setdefault(package, set()).update(set(cpus) & online)
    for index, (cpus, package) in enumerate(core_list):
        siblings = set(cpus) & online
        for cpu in siblings & as_set(only) if only else siblings:
            here = f"{base}/cpu/cpu{cpu}/topology"
            name = "core_cpus" if new_names else "thread_siblings"
            files[f"{here}/{name}_list"] = as_list(siblings)
            files[f"{here}/physical_package_id"] = str(package)
            if only:
                continue
            files[f"{here}/{name}"] = as_mask(siblings, width)
            name = "package_cpus" if new_names else "core_siblings"
            files[f"{here}/{name}"] = as_mask(packages[package], width)
            files[f"{here}/core_id"] = str(index)
    if nodes is not None:
        files[f"{base}/node/online"] = as_list(nodes)
        files[f"{base}/node/possible"] = as_list(nodes)
        for node, cpus in nodes.items():
            files[f"{base}/node/node{node}/cpulist"] = as_list(as_set(cpus) & online)
            files[f"{base}/node/node{node}/cpumap"] = as_mask(as_set(cpus) & online, width)
    return files


MOUNTS_HEAD = (
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
    "24 22 0:22 / /sys rw,nosuid shared:2 - sysfs sysfs rw\n"
)


def mount_v2(root="/", point="/sys/fs/cgroup"):
    return f"30 24 0:26 {root} {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def mount_v1(controllers, root="/", point=None):
    point = point or f"/sys/fs/cgroup/{controllers}"
    return f"31 24 0:27 {root} {point} rw,nosuid shared:10 - cgroup cgroup rw,{controllers}\n"


def v2(path="/", limits=None, root="/", point="/sys/fs/cgroup"):
    """A version 2 hierarchy: this process's cgroup, and {folder: {file: text}} below the point."""
    files = {
        "proc/self/cgroup": f"0::{path}\n",
        "proc/self/mountinfo": MOUNTS_HEAD + mount_v2(root, point.replace(" ", "\\040")),
    }
    for folder, texts in (limits or {}).items():
        for name, text in texts.items():
            files[f"{point[1:]}{folder}/{name}"] = text
    return files


def v1(path="/", quota=None, cpuset=None, root="/"):
    """Version 1 with cpu,cpuacct and cpuset hierarchies; quota: {folder: (quota, period)}."""
    files = {
        "proc/self/cgroup": f"11:memory:{path}\n4:cpu,cpuacct:{path}\n3:cpuset:{path}\n"
        f"1:name=systemd:{path}\n",
        "proc/self/mountinfo": MOUNTS_HEAD
        + mount_v1("cpu,cpuacct", root)
        + mount_v1("cpuset", root)
        + mount_v1("memory", root),
    }
    for folder, (time, period) in (quota or {}).items():
        here = f"sys/fs/cgroup/cpu,cpuacct{folder}"
        files[f"{here}/cpu.cfs_quota_us"] = time
        files[f"{here}/cpu.cfs_period_us"] = period
    for folder, texts in (cpuset or {}).items():
        for name, text in texts.items():
            files[f"sys/fs/cgroup/cpuset{folder}/{name}"] = text
    return files


def expect(
    cpus,
    allowed,
    core_count,
    per_core,
    packages,
    nodes,
    kinds=(0, 0),
    binding=(),
    findings=(),
    hwloc=True,
):
    """The answer. `binding` names every binding constraint as "source where"; `findings` holds one
    telling part of each finding, in order. hwloc: whether its reading of the folder must agree."""
    return {
        "cpus": cpus,
        "floor": max(1, math.floor(cpus)),
        "ceil": max(1, math.ceil(cpus)),
        "allowed": allowed,
        "cores": core_count,
        "threads_per_core": per_core,
        "packages": packages,
        "numa_nodes": nodes,
        "performance_cpus": kinds[0],
        "efficiency_cpus": kinds[1],
        "binding": list(binding),
        "findings": list(findings),
        "hwloc": hwloc,
    }


ONLINE = "machine /sys/devices/system/cpu/online"
MASK = "affinity /proc/self/status"


class Machines:
    """The table: each entry names a machine, says why it is there, and holds its answer."""

    def __init__(self):
        self.all = {}

    def add(self, name, why, *layers, env="", without=(), answer):
        """Later layers of files replace earlier ones; None makes a folder where a file should be,
        which no one can read as a file."""
        assert name not in self.all, name
        files = {}
        for layer in layers:
            files.update(layer)
        files = {p: t for p, t in files.items() if not any(p.startswith(w) for w in without)}
        self.all[name] = (why, files, env, answer)

    def write(self, folder):
        for name, (why, files, env, answer) in self.all.items():
            root = folder / name
            root.mkdir(parents=True)
            for path, text in files.items():
                where = root / path
                if text is None:
                    where.mkdir(parents=True)
                    continue
                where.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(text, bytes):
                    where.write_bytes(text)
                else:
                    where.write_text(text if not text or text.endswith("\n") else text + "\n")
            (root / "env").write_text(env)
            (root / "expect.json").write_text(json.dumps({"why": why, **answer}, indent=1))


def main():
    # The tables import this module's tools by name.
    sys.modules["make_machines"] = sys.modules["__main__"]
    from machines import cgroups, garbage, grants, hardware

    machines = Machines()
    for table in (hardware, cgroups, grants, garbage):
        table.add_to(machines)
    folder = Path(sys.argv[1])
    machines.write(folder)
    print(f"{len(machines.all)} machines in {folder}")


if __name__ == "__main__":
    main()
