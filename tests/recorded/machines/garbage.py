"""Garbage: files that are missing, empty, cut short, unreadable or binary junk, one at a time and
all at once. Each degrades to what the other files say, with a finding."""

from make_machines import MASK, ONLINE, cores, expect, status, topology, v1, v2

CPU = "sys/devices/system/cpu"
FOUR = {**topology(cores(1, 4), {0: "0-3"}), "proc/self/status": status("0-3"), **v2()}
JUNK = bytes(range(256)) * 8


def four(*, cpus=4, topo=(4, 1, 1, 1), **more):
    more.setdefault("binding", [ONLINE])
    more.setdefault("hwloc", False)
    return expect(cpus, "0-3", *topo, **more)


def add_to(machines):
    missing(machines.add)
    misread(machines.add)
    everything(machines.add)


def missing(m):
    stat = {"proc/stat": "cpu  9 9 9\ncpu0 1 1 1\ncpu1 1 1 1\ncpu2 1 1 1\ncpu3 1 1 1\nintr 5\n"}
    m(
        "no-sys",
        "no /sys at all: /proc/stat tells the CPUs",
        FOUR,
        stat,
        without=["sys"],
        answer=four(
            topo=(0, 0, 0, 0),
            binding=["machine /proc/stat"],
            findings=["physical cores is unknown"],
        ),
    )
    m(
        "no-sys-no-stat",
        "neither: the mask is all there is",
        FOUR,
        without=["sys"],
        answer=four(topo=(0, 0, 0, 0), binding=[MASK], findings=["physical cores is unknown"]),
    )
    m(
        "no-proc",
        "no /proc: the machine's CPUs, quotas at the usual place",
        FOUR,
        {"sys/fs/cgroup/cpu.max": "150000 100000"},
        without=["proc"],
        answer=four(
            cpus=1.5,
            binding=["quota /sys/fs/cgroup/cpu.max"],
            findings=["does not tell the mask", "/proc/self/cgroup is not there"],
        ),
    )
    m(
        "no-proc-self-cgroup",
        "a kernel without control groups",
        FOUR,
        without=["proc/self/cgroup"],
        answer=four(findings=["/proc/self/cgroup is not there"]),
    )
    m(
        "no-topology",
        "CPUs are listed, their cores are not",
        FOUR,
        without=[f"{CPU}/cpu{c}/" for c in range(4)] + ["sys/devices/system/node"],
        answer=four(topo=(0, 0, 0, 0), findings=["physical cores is unknown"]),
    )
    m(
        "nothing",
        "an empty folder: one CPU, and said",
        {"proc/version": ""},
        answer=expect(
            1,
            "0",
            0,
            0,
            0,
            0,
            binding=["machine none"],
            hwloc=False,
            findings=[
                "Neither /sys nor /proc",
                "does not tell the mask",
                "/proc/self/cgroup is not there",
                "physical cores is unknown",
            ],
        ),
    )


def misread(m):
    def one(name, why, path, text, answer, *more):
        m(f"garbage-{name}", why, FOUR, *more, {path: text}, answer=answer)

    stat = {"proc/stat": "cpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\n"}
    from_stat = four(binding=["machine /proc/stat"], findings=["cpu/online holds"])
    one("online", "words", f"{CPU}/online", "all of them", from_stat, stat)
    one("online-reversed", "a range backwards", f"{CPU}/online", "3-0", from_stat, stat)
    one("online-beyond", "a CPU number no kernel has", f"{CPU}/online", "0-8192", from_stat, stat)
    one("online-truncated", "cut after a hyphen", f"{CPU}/online", "0-", from_stat, stat)
    one(
        "online-empty",
        "an empty list: no machine has no CPU",
        f"{CPU}/online",
        "",
        four(binding=["machine /proc/stat"]),
        stat,
    )
    one(
        "online-folder",
        "a folder, which no one can read",
        f"{CPU}/online",
        None,
        four(binding=["machine /proc/stat"], findings=["cpu/online cannot be read"]),
        stat,
    )
    one(
        "stat",
        "lines of /proc/stat with nonsense numbers are passed over",
        "proc/stat",
        "cpux 1\ncpu-1 1\ncpu99999 1\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\ncpu",
        from_stat,
        {f"{CPU}/online": "?"},
    )

    no_mask = "does not tell the mask"
    one(
        "mask",
        "a mask of words, and none in hexadecimal",
        "proc/self/status",
        "Cpus_allowed_list:\tevery one\n",
        four(findings=["/proc/self/status holds", no_mask]),
    )
    one(
        "mask-list-only",
        "the list is junk, the hexadecimal mask is good",
        "proc/self/status",
        "Cpus_allowed:\t3\nCpus_allowed_list:\t1-\n",
        expect(
            2, "0-1", 2, 1, 1, 1, binding=[MASK], hwloc=False, findings=["/proc/self/status holds"]
        ),
    )
    one(
        "mask-hex",
        "not hexadecimal",
        "proc/self/status",
        "Cpus_allowed:\tfx\n",
        four(findings=["/proc/self/status holds", no_mask]),
    )
    one(
        "mask-offline",
        "a mask of CPUs that are not there",
        "proc/self/status",
        "Cpus_allowed_list:\t64-71\n",
        four(findings=["of which none is online"]),
    )
    one("mask-junk", "binary junk for a status", "proc/self/status", JUNK, four(findings=[no_mask]))

    one(
        "cgroup",
        "binary junk for the list of control groups",
        "proc/self/cgroup",
        JUNK,
        four(findings=["/proc/self/cgroup holds"]),
    )
    one(
        "cgroup-truncated",
        "cut in the middle of a line; whole lines count",
        "proc/self/cgroup",
        "0::/a\n4:mem",
        four(
            cpus=2, binding=["quota /sys/fs/cgroup/a/cpu.max"], findings=["/proc/self/cgroup holds"]
        ),
        {"sys/fs/cgroup/a/cpu.max": "200000 100000"},
    )
    one(
        "mountinfo",
        "binary junk for the mounts: the usual places",
        "proc/self/mountinfo",
        JUNK,
        four(
            cpus=2,
            binding=["quota /sys/fs/cgroup/cpu.max"],
            findings=["/proc/self/mountinfo holds"],
        ),
        {"sys/fs/cgroup/cpu.max": "200000 100000"},
    )
    one(
        "mountinfo-short",
        "a cgroup line without its fields",
        "proc/self/mountinfo",
        "30 24 - cgroup2 x\n31 24 0:27 relative /p o - cgroup2 cgroup2 rw\n",
        four(),
    )

    leaf = {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000"}
    parent_binds = four(
        cpus=3, binding=["quota /sys/fs/cgroup/a/cpu.max"], findings=["a/b/cpu.max holds"]
    )
    for name, text in (
        ("words", "unlimited"),
        ("zero-period", "100000 0"),
        ("zero-quota", "0 100000"),
        ("negative", "-100000 100000"),
        ("truncated", "1000"),
        ("max-zero", "max 0"),
        ("empty", ""),
        ("three", "100000 100000 100000"),
        ("overflow", "9" * 40 + " 100000"),
        ("junk", JUNK),
    ):
        one(
            f"cpu-max-{name}",
            "the leaf's quota is junk; its parent's still binds",
            "sys/fs/cgroup/a/b/cpu.max",
            text,
            parent_binds,
            leaf,
        )
    one(
        "cpu-max-folder",
        "the leaf's quota cannot be read",
        "sys/fs/cgroup/a/b/cpu.max",
        None,
        four(
            cpus=3,
            binding=["quota /sys/fs/cgroup/a/cpu.max"],
            findings=["a/b/cpu.max cannot be read"],
        ),
        leaf,
    )
    one(
        "cpuset",
        "a cpuset of words",
        "sys/fs/cgroup/cpuset.cpus.effective",
        "some",
        four(findings=["cpuset.cpus.effective holds"]),
    )

    old = v1("/a", {"/a": ("200000", "100000")})
    here = "sys/fs/cgroup/cpu,cpuacct/a"
    said = four(findings=["cpu.cfs_quota_us holds"])
    one("cfs-quota", "version 1: words", f"{here}/cpu.cfs_quota_us", "lots", said, old)
    one(
        "cfs-quota-minus-2",
        "version 1: only -1 means no limit",
        f"{here}/cpu.cfs_quota_us",
        "-2",
        said,
        old,
    )
    one(
        "cfs-period-zero",
        "version 1: a period of nothing",
        f"{here}/cpu.cfs_period_us",
        "0",
        said,
        old,
    )
    m(
        "garbage-cfs-no-period",
        "version 1: a quota without its period",
        FOUR,
        old,
        without=[f"{here}/cpu.cfs_period_us"],
        answer=said,
    )

    one(
        "siblings",
        "one CPU's siblings are words: the others still count",
        f"{CPU}/cpu2/topology/thread_siblings_list",
        "itself",
        four(topo=(3, 1, 1, 1), findings=["cpu2/topology/thread_siblings_list holds"]),
    )
    one(
        "siblings-without-itself",
        "a CPU that is no sibling of itself is a core of its own",
        f"{CPU}/cpu2/topology/thread_siblings_list",
        "0",
        four(findings=["without CPU 2 itself"]),
    )
    one(
        "package",
        "a package that is no number",
        f"{CPU}/cpu0/topology/physical_package_id",
        "x",
        four(findings=["physical_package_id holds"]),
    )
    one(
        "nodes",
        "a node list of words: one node is assumed",
        "sys/devices/system/node/online",
        "left",
        four(findings=["node/online holds"]),
    )
    one(
        "node-cpus",
        "a node whose CPUs are junk",
        "sys/devices/system/node/node0/cpulist",
        JUNK,
        four(topo=(4, 1, 1, 0), findings=["node0/cpulist holds"]),
    )
    one(
        "capacity",
        "a capacity that is no number: kinds are not told",
        f"{CPU}/cpu1/cpu_capacity",
        "big",
        four(findings=["cpu1/cpu_capacity holds"]),
        {f"{CPU}/cpu{c}/cpu_capacity": "512" for c in range(4)},
    )
    one(
        "kinds",
        "one of the hybrid lists is junk: kinds are not told",
        "sys/devices/cpu_atom/cpus",
        "2-",
        four(findings=["cpu_atom/cpus holds"]),
        {"sys/devices/cpu_core/cpus": "0-1"},
    )
    one(
        "isolated",
        "a list of isolated CPUs that is none",
        f"{CPU}/isolated",
        "nohz,domain,3",
        four(findings=["cpu/isolated holds"]),
    )


def everything(m):
    paths = [p for p in FOUR if p.startswith(("proc/", CPU, "sys/devices/system/node"))]
    m(
        "junk-in-every-file",
        "every file is the same 2 KiB of bytes",
        {p: JUNK for p in paths},
        answer=expect(
            1,
            "0",
            0,
            0,
            0,
            0,
            binding=["machine none"],
            hwloc=False,
            findings=[
                "cpu/online holds",
                "Neither /sys nor /proc",
                "does not tell the mask",
                "/proc/self/mountinfo holds",
                "/proc/self/cgroup holds",
                "cpu0/topology/thread_siblings_list holds",
                "node/online holds",
                "cpu/isolated holds",
                "physical cores is unknown",
            ],
        ),
    )
    m(
        "every-file-empty",
        "every file is empty",
        {p: "" for p in paths},
        answer=expect(
            1,
            "0",
            0,
            0,
            0,
            0,
            binding=["machine none"],
            hwloc=False,
            findings=[
                "Neither /sys nor /proc",
                "does not tell the mask",
                "physical cores is unknown",
            ],
        ),
    )
