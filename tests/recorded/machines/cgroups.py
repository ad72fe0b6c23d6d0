"""Quotas and cpusets: version 1, version 2, both at once, nested, and through namespaces."""

from make_machines import (
    MASK,
    MOUNTS_HEAD,
    ONLINE,
    cores,
    expect,
    mount_v1,
    mount_v2,
    status,
    topology,
    v1,
    v2,
)

EIGHT = {**topology(cores(1, 8), {0: "0-7"}), "proc/self/status": status("0-7")}
SIXTEEN = {**topology(cores(2, 8), {0: "0-7", 1: "8-15"}), "proc/self/status": status("0-15")}
ROOT = "/sys/fs/cgroup"


def eight(cpus, *, allowed="0-7", core_count=8, **more):
    return expect(cpus, allowed, core_count, 1, 1, 1, **more)


def quota(path):
    return f"quota {ROOT}{path}/cpu.max"


def cfs(path):
    return f"quota {ROOT}/cpu,cpuacct{path}/cpu.cfs_quota_us"


def add_to(machines):
    version_2(machines.add)
    namespaces(machines.add)
    version_1(machines.add)


def version_2(m):
    scope = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope"
    user = "/user.slice/user-1000.slice"

    m(
        "v2-systemd-no-limit",
        "a desktop: max at every level",
        EIGHT,
        v2(
            scope,
            {
                scope: {"cpu.max": "max 100000"},
                user: {"cpu.max": "max 100000"},
                "/user.slice": {"cpu.max": "max 100000"},
                "": {"cpuset.cpus.effective": "0-7"},
            },
        ),
        answer=eight(8, binding=[ONLINE]),
    )
    m(
        "v2-nested-slice-tighter",
        "systemctl set-property user-1000.slice CPUQuota=250%: the leaf's "
        "own 600 % is not what binds",
        EIGHT,
        v2(
            scope,
            {
                scope: {"cpu.max": "600000 100000"},
                user: {"cpu.max": "250000 100000"},
                "/user.slice": {"cpu.max": "max 100000"},
            },
        ),
        answer=eight(2.5, binding=[quota(user)]),
    )
    m(
        "v2-nested-top-tighter",
        "the outermost slice is the tightest",
        EIGHT,
        v2(
            scope,
            {
                scope: {"cpu.max": "max 100000"},
                user: {"cpu.max": "400000 100000"},
                "/user.slice": {"cpu.max": "300000 100000"},
            },
        ),
        answer=eight(3, binding=[quota("/user.slice")]),
    )
    m(
        "v2-nested-leaf-tighter",
        "systemd-run --scope -p CPUQuota=150%",
        EIGHT,
        v2(scope, {scope: {"cpu.max": "150000 100000"}, user: {"cpu.max": "400000 100000"}}),
        answer=eight(1.5, binding=[quota(scope)]),
    )
    m(
        "v2-nested-equal",
        "two levels with the same quota: both bind",
        EIGHT,
        v2("/a/b", {"/a": {"cpu.max": "200000 100000"}, "/a/b": {"cpu.max": "200000 100000"}}),
        answer=eight(2, binding=[quota("/a/b"), quota("/a")]),
    )
    m(
        "v2-half-cpu",
        "a quota below one CPU: half a CPU, one thread",
        EIGHT,
        v2("/a", {"/a": {"cpu.max": "50000 100000"}}),
        answer=eight(0.5, binding=[quota("/a")]),
    )
    m(
        "v2-odd-period",
        "a period of half a second",
        EIGHT,
        v2("/a", {"/a": {"cpu.max": "1750000 500000"}}),
        answer=eight(3.5, binding=[quota("/a")]),
    )
    m(
        "v2-third",
        "a quota that binary fractions cannot hold",
        EIGHT,
        v2("/a", {"/a": {"cpu.max": "70000 30000"}}),
        answer=eight(7 / 3, binding=[quota("/a")]),
    )
    m(
        "v2-huge-quota",
        "a quota far above the machine does not bind",
        EIGHT,
        v2("/a", {"/a": {"cpu.max": "9223372036854775807 100000"}}),
        answer=eight(8, binding=[ONLINE]),
    )
    m(
        "v2-quota-equals-machine",
        "a quota of exactly all CPUs binds nobody",
        EIGHT,
        v2("/a", {"/a": {"cpu.max": "800000 100000"}}),
        answer=eight(8, binding=[ONLINE]),
    )
    m(
        "v2-quota-equals-mask",
        "mask and quota agree: both bind",
        EIGHT,
        {"proc/self/status": status("0-3")},
        v2("/a", {"/a": {"cpu.max": "400000 100000"}}),
        answer=eight(4, allowed="0-3", core_count=4, binding=[MASK, quota("/a")]),
    )
    m(
        "v2-weight-is-no-cap",
        "cpu.weight shares out, it does not bound",
        EIGHT,
        v2("/a", {"/a": {"cpu.max": "max 100000", "cpu.weight": "1"}}),
        answer=eight(8, binding=[ONLINE]),
    )
    m(
        "v2-rootless-podman",
        "the cpu controller is not delegated: no cpu.max below user@",
        EIGHT,
        v2(scope, {user: {"cpu.max": "max 100000"}}),
        answer=eight(8, binding=[ONLINE]),
    )
    m(
        "v2-deleted-cgroup",
        "the cgroup was removed under a running process; its parent still binds",
        EIGHT,
        v2("/job/step (deleted)", {"/job": {"cpu.max": "200000 100000"}}),
        answer=eight(2, binding=[quota("/job")]),
    )
    m(
        "v2-colon-in-name",
        "a cgroup's name may hold a colon",
        EIGHT,
        v2("/machine/qemu:1", {"/machine/qemu:1": {"cpu.max": "100000 100000"}}),
        answer=eight(1, binding=[quota("/machine/qemu:1")]),
    )
    m(
        "v2-blank-in-mount-point",
        "mountinfo writes a blank as \\040",
        EIGHT,
        v2("/a", {"/a": {"cpu.max": "300000 100000"}}, point="/my groups"),
        answer=eight(3, binding=["quota /my groups/a/cpu.max"]),
    )
    m(
        "v2-cpuset-of-ancestor",
        "the leaf has no cpuset file; its parent's is narrower than the mask",
        EIGHT,
        v2(
            "/pod/app",
            {"/pod": {"cpuset.cpus.effective": "2-5"}, "": {"cpuset.cpus.effective": "0-7"}},
        ),
        answer=eight(
            4, allowed="2-5", core_count=4, binding=[f"cpuset {ROOT}/pod/cpuset.cpus.effective"]
        ),
    )
    m(
        "v2-cpuset-crosses-mask",
        "mask 0-4 and cpuset 3-7 leave two",
        EIGHT,
        {"proc/self/status": status("0-4")},
        v2("/a", {"/a": {"cpuset.cpus.effective": "3-7"}}),
        answer=eight(
            2, allowed="3-4", core_count=2, binding=[MASK, f"cpuset {ROOT}/a/cpuset.cpus.effective"]
        ),
    )
    m(
        "v2-mask-inside-cpuset",
        "taskset inside a wider cpuset: the mask alone binds",
        EIGHT,
        {"proc/self/status": status("2-3")},
        v2("/a", {"/a": {"cpuset.cpus.effective": "0-5"}}),
        answer=eight(2, allowed="2-3", core_count=2, binding=[MASK]),
    )
    m(
        "v2-cpuset-beside-mask",
        "a cpuset that leaves nothing of the mask is not believed",
        EIGHT,
        {"proc/self/status": status("0-1")},
        v2("/a", {"/a": {"cpuset.cpus.effective": "6-7"}}),
        answer=eight(2, allowed="0-1", core_count=2, binding=[MASK], findings=["none of the CPUs"]),
    )


def namespaces(m):
    m(
        "docker-v2",
        "docker run --cpus 1.5: the namespace makes the container's cgroup the root",
        EIGHT,
        v2("/", {"": {"cpu.max": "150000 100000"}}),
        answer=eight(1.5, binding=[quota("")]),
    )
    m(
        "docker-v2-cpuset",
        "docker run --cpuset-cpus 4-7",
        EIGHT,
        {"proc/self/status": status("4-7")},
        v2("/", {"": {"cpu.max": "max 100000", "cpuset.cpus.effective": "4-7"}}),
        answer=eight(
            4, allowed="4-7", core_count=4, binding=[MASK, f"cpuset {ROOT}/cpuset.cpus.effective"]
        ),
    )
    m(
        "docker-v2-sub-cgroup",
        "systemd inside the container moved the process one level down",
        EIGHT,
        v2(
            "/init.scope",
            {"": {"cpu.max": "250000 100000"}, "/init.scope": {"cpu.max": "max 100000"}},
        ),
        answer=eight(2.5, binding=[quota("")]),
    )
    pod = "/kubepods.slice/kubepods-pod7.slice/cri-containerd-9.scope"
    m(
        "k8s-host-namespace",
        "a pod that sees the host's path, with its own cgroup mounted at the "
        "root of the file system",
        EIGHT,
        v2(pod, {"": {"cpu.max": "200000 100000"}}, root=pod),
        answer=eight(2, binding=[quota("")]),
    )
    m(
        "k8s-pod-below-container",
        "the pod's quota is tighter than the container's, all visible",
        EIGHT,
        v2(
            pod,
            {
                pod: {"cpu.max": "400000 100000"},
                "/kubepods.slice/kubepods-pod7.slice": {"cpu.max": "100000 100000"},
            },
        ),
        answer=eight(1, binding=[quota("/kubepods.slice/kubepods-pod7.slice")]),
    )
    m(
        "k8s-static-cpu-manager",
        "guaranteed pod: cpuset and quota of 4",
        EIGHT,
        {"proc/self/status": status("4-7")},
        v2("/", {"": {"cpu.max": "400000 100000", "cpuset.cpus.effective": "4-7"}}),
        answer=eight(
            4,
            allowed="4-7",
            core_count=4,
            binding=[MASK, quota(""), f"cpuset {ROOT}/cpuset.cpus.effective"],
        ),
    )
    m(
        "mount-root-is-ancestor",
        "the mount shows /docker/abc, the process is one below",
        EIGHT,
        v2(
            "/docker/abc/job",
            {"": {"cpu.max": "300000 100000"}, "/job": {"cpu.max": "max 100000"}},
            root="/docker/abc",
        ),
        answer=eight(3, binding=[quota("")]),
    )
    m(
        "namespace-hides-ancestors",
        "unshare -C without a new mount: the way down has no names",
        EIGHT,
        v2("/", {"": {"cpu.max": "500000 100000"}}, root="/../.."),
        answer=eight(5, binding=[quota("")], findings=["namespace hides the way"]),
    )
    m(
        "namespace-up-and-down",
        "the mount starts two above the namespace, the path says so too",
        EIGHT,
        v2("/../../a/b", {"/a": {"cpu.max": "300000 100000"}}, root="/../.."),
        answer=eight(3, binding=[quota("/a")]),
    )
    m(
        "namespace-outside",
        "the process was moved beside its namespace: the mount is not above it",
        EIGHT,
        v2("/../sibling", {"": {"cpu.max": "100000 100000"}}),
        answer=eight(8, binding=[ONLINE], findings=["outside what is mounted"]),
    )
    twice = mount_v2("/a/b", "/run/inner") + mount_v2("/", "/sys/fs/cgroup")
    m(
        "mounted-twice",
        "of two mounts the one that shows more ancestors is read",
        EIGHT,
        v2("/a/b", {"/a": {"cpu.max": "200000 100000"}, "/a/b": {"cpu.max": "400000 100000"}}),
        {"proc/self/mountinfo": MOUNTS_HEAD + twice, "run/inner/cpu.max": "400000 100000"},
        answer=eight(2, binding=[quota("/a")]),
    )
    m(
        "cgroups-not-mounted",
        "a chroot without /sys/fs/cgroup: a quota may exist unseen",
        EIGHT,
        {"proc/self/cgroup": "0::/system.slice/job.service\n", "proc/self/mountinfo": MOUNTS_HEAD},
        answer=eight(8, binding=[ONLINE], findings=["No cgroup file system is mounted"]),
    )
    m(
        "lxc-v2",
        "LXC with lxcfs: 2 of 8 CPUs are shown online, the quota is the container's",
        topology(cores(1, 8), {0: "0-7"}, online="2-3"),
        {"proc/self/status": status("2-3")},
        v2(
            "/system.slice/cron.service",
            {"": {"cpu.max": "150000 100000", "cpuset.cpus.effective": "2-3"}},
        ),
        answer=eight(1.5, allowed="2-3", core_count=2, binding=[quota("")]),
    )


def version_1(m):
    m(
        "v1-no-limit",
        "an old host: -1 everywhere",
        EIGHT,
        v1("/user.slice", {"": ("-1", "100000"), "/user.slice": ("-1", "100000")}),
        answer=eight(8, binding=[ONLINE]),
    )
    m(
        "v1-docker",
        "docker without a cgroup namespace: the host's path, the container's mount",
        EIGHT,
        v1("/docker/abc", {"": ("200000", "100000")}, root="/docker/abc"),
        answer=eight(2, binding=[cfs("")]),
    )
    m(
        "v1-nested",
        "the parent is tighter",
        EIGHT,
        v1(
            "/batch/job",
            {
                "/batch": ("300000", "100000"),
                "/batch/job": ("600000", "100000"),
                "": ("-1", "100000"),
            },
        ),
        answer=eight(3, binding=[cfs("/batch")]),
    )
    m(
        "v1-tenth",
        "a Kubernetes limit of 100m",
        EIGHT,
        v1(
            "/kubepods/burstable/pod1/c1",
            {
                "/kubepods/burstable/pod1/c1": ("10000", "100000"),
                "/kubepods/burstable/pod1": ("10000", "100000"),
                "/kubepods": ("-1", "100000"),
            },
        ),
        answer=eight(
            0.1, binding=[cfs("/kubepods/burstable/pod1/c1"), cfs("/kubepods/burstable/pod1")]
        ),
    )
    m(
        "v1-cpuset-effective",
        "cpuset.effective_cpus is preferred over the wish in cpuset.cpus",
        EIGHT,
        v1("/job", cpuset={"/job": {"cpuset.effective_cpus": "4-6", "cpuset.cpus": "0-7"}}),
        answer=eight(
            3,
            allowed="4-6",
            core_count=3,
            binding=[f"cpuset {ROOT}/cpuset/job/cpuset.effective_cpus"],
        ),
    )
    m(
        "v1-cpuset-old-kernel",
        "a kernel before 4.x has cpuset.cpus alone",
        SIXTEEN,
        {"proc/self/status": status("4-11")},
        v1(
            "/torque/17",
            cpuset={"/torque/17": {"cpuset.cpus": "4-11"}, "": {"cpuset.cpus": "0-15"}},
        ),
        answer=expect(
            8, "4-11", 8, 1, 2, 2, binding=[MASK, f"cpuset {ROOT}/cpuset/torque/17/cpuset.cpus"]
        ),
    )
    m(
        "v1-separate-cpu",
        "cpu alone, not joined with cpuacct",
        EIGHT,
        {
            "proc/self/cgroup": "2:cpuacct:/\n1:cpu:/web\n0::/\n",
            "proc/self/mountinfo": MOUNTS_HEAD + mount_v1("cpuacct") + mount_v1("cpu"),
            "sys/fs/cgroup/cpu/web/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu/web/cpu.cfs_period_us": "100000",
        },
        answer=eight(1.5, binding=[f"quota {ROOT}/cpu/web/cpu.cfs_quota_us"]),
    )
    m(
        "hybrid",
        "systemd's hybrid layout: cpu in version 1, version 2 for bookkeeping",
        EIGHT,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/job\n1:name=systemd:/job\n0::/job\n",
            "proc/self/mountinfo": MOUNTS_HEAD
            + mount_v1("cpu,cpuacct")
            + mount_v2("/", "/sys/fs/cgroup/unified"),
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "350000",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/unified/job/cgroup.procs": "1",
        },
        answer=eight(3.5, binding=[cfs("/job")]),
    )
    m(
        "hybrid-cpu-in-v2",
        "version 1 for memory, the cpu controller in version 2",
        EIGHT,
        {
            "proc/self/cgroup": "4:memory:/job\n0::/job\n",
            "proc/self/mountinfo": MOUNTS_HEAD
            + mount_v1("memory")
            + mount_v2("/", "/sys/fs/cgroup/unified"),
            "sys/fs/cgroup/unified/job/cpu.max": "150000 100000",
        },
        answer=eight(1.5, binding=[f"quota {ROOT}/unified/job/cpu.max"]),
    )
    m(
        "v1-no-mountinfo",
        "a hidden mount table: the usual places are tried",
        EIGHT,
        {
            "proc/self/cgroup": "4:cpu:/job\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
        },
        answer=eight(2.5, binding=[f"quota {ROOT}/cpu/job/cpu.cfs_quota_us"]),
    )
