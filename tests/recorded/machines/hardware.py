"""Hardware: sockets, cores, threads, nodes, kinds of core, and masks over them."""

from make_machines import MASK, ONLINE, as_list, cores, expect, status, topology, v2

CPU = "sys/devices/system/cpu"


def mask(cpus, width=32):
    return {"proc/self/status": status(cpus, width)}


def add_to(machines):
    m = machines.add

    m(
        "one-cpu",
        "a small virtual machine",
        topology(cores(1, 1), {0: "0"}),
        mask("0"),
        v2(),
        answer=expect(1, "0", 1, 1, 1, 1, binding=[ONLINE]),
    )

    m(
        "laptop-4x2",
        "4 cores of 2 threads, siblings far apart",
        topology(cores(1, 4, 2), {0: "0-7"}),
        mask("0-7"),
        v2(),
        answer=expect(8, "0-7", 4, 2, 1, 1, binding=[ONLINE]),
    )

    m(
        "arm64-128",
        "the seed's workstation: 128 Neoverse N1 cores in one socket, one node",
        topology(cores(1, 128), {0: "0-127"}, new_names=True),
        mask("0-127", 128),
        v2(),
        {f"{CPU}/cpu{c}/cpu_capacity": "1024" for c in range(128)},
        answer=expect(128, "0-127", 128, 1, 1, 1, binding=[ONLINE]),
    )

    m(
        "two-socket-numa-smt",
        "2 sockets of 16 cores of 2 threads, a node each",
        topology(cores(2, 16, 2), {0: "0-15,32-47", 1: "16-31,48-63"}),
        mask("0-63", 64),
        v2(),
        answer=expect(64, "0-63", 32, 2, 2, 2, binding=[ONLINE]),
    )

    m(
        "two-socket-bound-to-one",
        "the same, numactl --cpunodebind=1",
        topology(cores(2, 16, 2), {0: "0-15,32-47", 1: "16-31,48-63"}),
        mask("16-31,48-63", 64),
        v2(),
        answer=expect(32, "16-31,48-63", 16, 2, 1, 1, binding=[MASK]),
    )

    m(
        "epyc-nps4",
        "one socket of 64 cores of 2 threads in 4 nodes",
        topology(
            cores(1, 64, 2),
            {0: "0-15,64-79", 1: "16-31,80-95", 2: "32-47,96-111", 3: "48-63,112-127"},
            new_names=True,
        ),
        mask("0-127", 128),
        v2(),
        answer=expect(128, "0-127", 64, 2, 1, 4, binding=[ONLINE]),
    )

    hybrid = [([2 * c, 2 * c + 1], 0) for c in range(8)] + [([16 + c], 0) for c in range(8)]
    kinds = {"sys/devices/cpu_core/cpus": "0-15", "sys/devices/cpu_atom/cpus": "16-23"}
    m(
        "hybrid-intel",
        "8 P cores of 2 threads and 8 E cores",
        topology(hybrid, {0: "0-23"}),
        mask("0-23"),
        v2(),
        kinds,
        answer=expect(24, "0-23", 16, 2, 1, 1, kinds=(16, 8), binding=[ONLINE]),
    )
    m(
        "hybrid-intel-p-only",
        "the same, bound to the P cores: all of one kind",
        topology(hybrid, {0: "0-23"}),
        mask("0-15"),
        v2(),
        kinds,
        answer=expect(16, "0-15", 8, 2, 1, 1, binding=[MASK]),
    )
    m(
        "hybrid-intel-mixed-mask",
        "the same, two P cores and four E cores",
        topology(hybrid, {0: "0-23"}),
        mask("0-3,16-19"),
        v2(),
        kinds,
        answer=expect(8, "0-3,16-19", 6, 2, 1, 1, kinds=(4, 4), binding=[MASK]),
    )
    m(
        "hybrid-intel-low-power",
        "6 P cores, 8 E cores and 2 low-power E cores, no SMT",
        topology(cores(1, 16), {0: "0-15"}, new_names=True),
        mask("0-15"),
        v2(),
        {
            "sys/devices/cpu_core/cpus": "0-5",
            "sys/devices/cpu_atom/cpus": "6-13",
            "sys/devices/cpu_lowpower/cpus": "14-15",
        },
        answer=expect(16, "0-15", 16, 1, 1, 1, kinds=(6, 10), binding=[ONLINE]),
    )

    m(
        "arm-big-little",
        "4 little cores of capacity 446 and 4 big ones",
        topology(cores(1, 8)),
        mask("0-7"),
        v2(),
        {f"{CPU}/cpu{c}/cpu_capacity": "446" if c < 4 else "1024" for c in range(8)},
        answer=expect(8, "0-7", 8, 1, 1, 1, kinds=(4, 4), binding=[ONLINE]),
    )
    capacity = [325] * 4 + [828] * 3 + [1024]
    m(
        "arm-three-tiers",
        "a phone: 4 little, 3 middle, 1 prime; the middle ones count as fast",
        topology(cores(1, 8)),
        mask("0-7"),
        v2(),
        {f"{CPU}/cpu{c}/cpu_capacity": str(capacity[c]) for c in range(8)},
        answer=expect(8, "0-7", 8, 1, 1, 1, kinds=(4, 4), binding=[ONLINE]),
    )
    m(
        "arm-little-only",
        "the same, bound to the little ones: all of one kind",
        topology(cores(1, 8)),
        mask("0-3"),
        v2(),
        {f"{CPU}/cpu{c}/cpu_capacity": str(capacity[c]) for c in range(8)},
        answer=expect(4, "0-3", 4, 1, 1, 1, binding=[MASK]),
    )

    m(
        "power9-smt4",
        "2 sockets of 4 cores of 4 threads, siblings side by side, nodes 0 and 8",
        topology(cores(2, 4, 4, near=True), {0: "0-15", 8: "16-31"}),
        mask("0-31"),
        v2(),
        answer=expect(32, "0-31", 8, 4, 2, 2, binding=[ONLINE]),
    )

    m(
        "cpus-1152",
        "9 sockets of 128 cores: numbers above 1024",
        topology(cores(9, 128), {n: f"{n * 128}-{n * 128 + 127}" for n in range(9)}, only="0-1151"),
        mask("0-1151", 1152),
        v2(),
        answer=expect(1152, "0-1151", 1152, 1, 9, 9, binding=[ONLINE], hwloc=False),
    )
    m(
        "cpus-1152-high-mask",
        "the same, bound to CPUs 1020-1039, across two sockets",
        topology(
            cores(9, 128), {n: f"{n * 128}-{n * 128 + 127}" for n in range(9)}, only="1020-1039"
        ),
        mask("1020-1039", 1152),
        v2(),
        answer=expect(20, "1020-1039", 20, 1, 2, 2, binding=[MASK], hwloc=False),
    )

    m(
        "offline-cpus",
        "CPUs 4 and 5 taken offline; the mask still names them",
        topology(cores(1, 8), {0: "0-7"}, online="0-3,6-7"),
        mask("0-7"),
        v2(),
        answer=expect(6, "0-3,6-7", 6, 1, 1, 1, binding=[ONLINE]),
    )
    m(
        "smt-off",
        "SMT switched off: the second threads are offline",
        topology(cores(1, 8, 2), {0: "0-15"}, online="0-7"),
        mask("0-15"),
        v2(),
        answer=expect(8, "0-7", 8, 1, 1, 1, binding=[ONLINE]),
    )
    m(
        "mask-of-possible",
        "a virtual machine with room for 128 CPUs: the mask names them all",
        topology(cores(1, 8), {0: "0-7"}),
        mask("0-127", 128),
        v2(),
        {f"{CPU}/possible": "0-127"},
        answer=expect(8, "0-7", 8, 1, 1, 1, binding=[ONLINE]),
    )

    m(
        "isolated-cpus",
        "isolcpus=4-7: init's mask leaves them out already",
        topology(cores(1, 8), {0: "0-7"}),
        mask("0-3"),
        v2(),
        {f"{CPU}/isolated": "4-7"},
        answer=expect(4, "0-3", 4, 1, 1, 1, binding=[MASK]),
    )
    m(
        "isolated-in-mask",
        "taskset onto isolated CPUs: threads would all stay on one",
        topology(cores(1, 8), {0: "0-7"}),
        mask("2-5"),
        v2(),
        {f"{CPU}/isolated": "4-7"},
        answer=expect(4, "2-5", 4, 1, 1, 1, binding=[MASK], findings=["CPUs 4-5 are isolated"]),
    )

    m(
        "every-other-cpu",
        "a mask with holes: both threads of the odd cores",
        topology(cores(1, 8, 2), {0: "0-15"}),
        mask("1,3,5,7,9,11,13,15"),
        v2(),
        answer=expect(8, "1,3,5,7,9,11,13,15", 4, 2, 1, 1, binding=[MASK]),
    )
    m(
        "one-thread-of-each-core",
        "8 CPUs on 8 cores of 2 threads",
        topology(cores(1, 8, 2, near=True), {0: "0-15"}),
        mask("0,2,4,6,8,10,12,14"),
        v2(),
        answer=expect(8, "0,2,4,6,8,10,12,14", 8, 1, 1, 1, binding=[MASK]),
    )
    m(
        "two-threads-of-one-core",
        "2 CPUs that are one core",
        topology(cores(1, 8, 2), {0: "0-15"}),
        mask("3,11"),
        v2(),
        answer=expect(2, "3,11", 1, 2, 1, 1, binding=[MASK]),
    )

    m(
        "mask-in-hexadecimal",
        "a kernel that writes Cpus_allowed only, 64 CPUs wide",
        topology(cores(2, 32), {0: "0-31", 1: "32-63"}),
        {"proc/self/status": "Name:\tR\nCpus_allowed:\t00000003,c0000000\n"},
        v2(),
        answer=expect(4, "30-33", 4, 1, 2, 2, binding=[MASK]),
    )

    m(
        "memory-only-node",
        "a node of memory without CPUs (CXL) is not one of ours",
        topology(cores(2, 4), {0: "0-3", 1: "4-7", 2: ""}),
        mask("0-7"),
        v2(),
        answer=expect(8, "0-7", 8, 1, 2, 2, binding=[ONLINE]),
    )
    m(
        "no-numa",
        "a kernel without NUMA: one node",
        topology(cores(1, 4)),
        mask("0-3"),
        v2(),
        answer=expect(4, "0-3", 4, 1, 1, 1, binding=[ONLINE]),
    )

    # Recorded on the machine this was written on, 2026-11-22 (lines of other files left out).
    m(
        "live-2-cores",
        "recorded: a Firecracker guest, version 1 and 2 mounted, no limits",
        topology(cores(1, 2), {0: "0-1"}),
        mask("0-1"),
        {
            "proc/self/cgroup": "9:name=systemd:/\n8:pids:/\n7:blkio:/\n6:freezer:/\n5:devices:/\n"
            "4:memory:/process_api/42433660f72f133ca476ca76bfaae4c0\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n"
            "0::/\n",
            "proc/self/mountinfo": "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
            "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
            "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
            "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
            "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpuset/cpuset.cpus": "0-1",
            "sys/fs/cgroup/cpuset/cpuset.effective_cpus": "0-1",
        },
        answer=expect(2, "0-1", 2, 1, 1, 1, binding=[ONLINE]),
    )

    m(
        "wsl2",
        "Windows Subsystem for Linux 2, version 2 at the root, 12 CPUs",
        topology(cores(1, 6, 2, near=True)),
        mask("0-11"),
        v2("/init.scope"),
        answer=expect(12, "0-11", 6, 2, 1, 1, binding=[ONLINE]),
    )

    m(
        "gvisor",
        "gVisor: no mask in status, no topology, no cgroup file",
        {
            f"{CPU}/online": "0-3",
            f"{CPU}/possible": "0-3",
            "proc/self/status": "Name:\tpython\nState:\tR (running)\nThreads:\t1\n",
            "proc/self/mountinfo": "1 0 0:1 / / rw - 9p none rw\n2 1 0:2 / /proc rw - proc none rw\n",
            "proc/stat": "cpu  0 0 0 0\ncpu0 0 0 0 0\ncpu1 0 0 0 0\ncpu2 0 0 0 0\ncpu3 0 0 0 0\n",
        },
        answer=expect(
            4,
            as_list(range(4)),
            0,
            0,
            0,
            0,
            binding=[ONLINE],
            hwloc=False,
            findings=[
                "does not tell the mask",
                "/proc/self/cgroup is not there",
                "physical cores is unknown",
            ],
        ),
    )

    m(
        "android-no-cgroup-cpu",
        "a phone's application: cgroups for other things only",
        topology(cores(1, 8)),
        mask("0-5"),
        {
            "proc/self/cgroup": "5:schedtune:/top-app\n2:cpuacct:/uid_10135\n1:blkio:/\n0::/uid_10135\n",
            "proc/self/mountinfo": "50 24 0:40 / /acct rw - cgroup none rw,cpuacct\n"
            "51 24 0:41 / /sys/fs/cgroup rw - cgroup2 none rw\n",
        },
        answer=expect(6, "0-5", 6, 1, 1, 1, binding=[MASK]),
    )
