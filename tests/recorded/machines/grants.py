"""Grants: what schedulers, launchers, pods, joblib and users say in variables."""

from make_machines import MASK, ONLINE, cores, expect, status, topology, v1, v2

NODE = {
    **topology(cores(2, 16), {0: "0-15", 1: "16-31"}, only="0-31"),
    "proc/self/status": status("0-31"),
}


def bound(cpus):
    return {"proc/self/status": status(cpus)}


def node(cpus, *, allowed="0-31", topo=(32, 1, 2, 2), **more):
    return expect(cpus, allowed, *topo, hwloc=False, **more)


def half(cpus, **more):
    return node(cpus, allowed="0-7", topo=(8, 1, 1, 1), **more)


def add_to(machines):
    slurm(machines.add)
    mpi(machines.add)
    others(machines.add)
    users(machines.add)


def slurm(m):
    m(
        "slurm-cpus-per-task",
        "srun -c 4",
        NODE,
        v2(),
        env="SLURM_JOB_ID=5\nSLURM_STEP_ID=0\nSLURM_CPUS_PER_TASK=4\nSLURM_CPUS_ON_NODE=16\n",
        answer=node(4, binding=["slurm SLURM_CPUS_PER_TASK"]),
    )
    m(
        "slurm-tasks-per-node",
        "without -c: the node's CPUs over its tasks, 2(x3)",
        NODE,
        v2(),
        env="SLURM_CPUS_ON_NODE=16\nSLURM_TASKS_PER_NODE=2(x3)\nSLURM_NODEID=1\nSLURM_STEP_ID=0\n",
        answer=node(8, binding=["slurm SLURM_CPUS_ON_NODE"]),
    )
    m(
        "slurm-uneven-nodes",
        "4 tasks on the first two nodes, 3 on ours",
        NODE,
        v2(),
        env="SLURM_CPUS_ON_NODE=12\nSLURM_STEP_TASKS_PER_NODE=4(x2),3\nSLURM_NODEID=2\n"
        "SLURM_STEP_ID=0\n",
        answer=node(4, binding=["slurm SLURM_CPUS_ON_NODE"]),
    )
    m(
        "slurm-node-not-known",
        "no SLURM_NODEID: the largest count is the safe one",
        NODE,
        v2(),
        env="SLURM_CPUS_ON_NODE=12\nSLURM_TASKS_PER_NODE=2,6\n",
        answer=node(2, binding=["slurm SLURM_CPUS_ON_NODE"]),
    )
    m(
        "slurm-ntasks-per-node",
        "the option as given",
        NODE,
        v2(),
        env="SLURM_CPUS_ON_NODE=32\nSLURM_NTASKS_PER_NODE=5\n",
        answer=node(6.4, binding=["slurm SLURM_CPUS_ON_NODE"]),
    )
    m(
        "slurm-batch-script",
        "sbatch -n 8 with python in the script: one process, the whole grant",
        NODE,
        bound("0-7"),
        v1("/slurm/uid_1/job_5/step_batch"),
        env="SLURM_JOB_ID=5\nENVIRONMENT=BATCH\nSLURM_CPUS_ON_NODE=8\nSLURM_TASKS_PER_NODE=8\n"
        "SLURM_NODEID=0\nSLURM_PROCID=0\n",
        answer=half(8, binding=[MASK, "slurm SLURM_CPUS_ON_NODE"], findings=["outside srun, once"]),
    )
    m(
        "slurm-batch-script-cpus-per-task",
        "sbatch -n 2 -c 4: the script is one process too, not one of the two tasks",
        NODE,
        bound("0-7"),
        v1("/slurm/uid_1/job_5/step_batch"),
        env="SLURM_JOB_ID=5\nENVIRONMENT=BATCH\nSLURM_CPUS_ON_NODE=8\nSLURM_TASKS_PER_NODE=2\n"
        "SLURM_NODEID=0\nSLURM_PROCID=0\nSLURM_CPUS_PER_TASK=4\n",
        answer=half(8, binding=[MASK, "slurm SLURM_CPUS_ON_NODE"], findings=["outside srun, once"]),
    )
    m(
        "slurm-batch-script-of-one-task",
        "sbatch -c 4 on a node that is shared by nobody: what the job asked for",
        NODE,
        bound("0-7"),
        v2(),
        env="SLURM_JOB_ID=5\nENVIRONMENT=BATCH\nSLURM_CPUS_ON_NODE=8\nSLURM_TASKS_PER_NODE=1\n"
        "SLURM_NODEID=0\nSLURM_CPUS_PER_TASK=4\n",
        answer=half(4, binding=["slurm SLURM_CPUS_PER_TASK"]),
    )
    m(
        "slurm-step-in-batch",
        "srun -n 4 inside that script: a step, so it divides",
        NODE,
        bound("0-7"),
        v2(),
        env="ENVIRONMENT=BATCH\nSLURM_CPUS_ON_NODE=8\nSLURM_TASKS_PER_NODE=8\nSLURM_STEP_ID=0\n"
        "SLURM_STEP_TASKS_PER_NODE=4\nSLURM_NODEID=0\n",
        answer=half(2, binding=["slurm SLURM_CPUS_ON_NODE"]),
    )
    m(
        "slurm-with-mpirun",
        "mpirun inside the batch script started 2 ranks",
        NODE,
        bound("0-7"),
        v2(),
        env="ENVIRONMENT=BATCH\nSLURM_CPUS_ON_NODE=8\nSLURM_TASKS_PER_NODE=8\n"
        "OMPI_COMM_WORLD_LOCAL_SIZE=2\n",
        answer=half(4, binding=["mpi OMPI_COMM_WORLD_LOCAL_SIZE", "slurm SLURM_CPUS_ON_NODE"]),
    )
    m(
        "slurm-task-cpusets",
        "each task has a cpuset of its own: 4 tasks of 8, not 4 of 2",
        NODE,
        bound("0-7"),
        v1(
            "/slurm/job_5/step_0/task_0",
            cpuset={"/slurm/job_5/step_0/task_0": {"cpuset.cpus": "0-7"}},
        ),
        env="SLURM_STEP_ID=0\nSLURM_CPUS_ON_NODE=32\nSLURM_STEP_TASKS_PER_NODE=4\n"
        "PMI_LOCAL_SIZE=4\n",
        answer=half(
            8,
            binding=[
                MASK,
                "cpuset /sys/fs/cgroup/cpuset/slurm/job_5/step_0/task_0/cpuset.cpus",
                "mpi PMI_LOCAL_SIZE",
                "slurm SLURM_CPUS_ON_NODE",
            ],
        ),
    )
    m(
        "slurm-garbage",
        "variables that are no counts",
        NODE,
        v2(),
        env="SLURM_CPUS_PER_TASK=four\nSLURM_CPUS_ON_NODE=-3\nSLURM_TASKS_PER_NODE=2(x\n",
        answer=node(32, binding=[ONLINE], findings=["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"]),
    )
    m(
        "slurm-garbage-tasks",
        "a task list cut short: undivided, and said",
        NODE,
        v2(),
        env="SLURM_CPUS_ON_NODE=16\nSLURM_TASKS_PER_NODE=2(x\nSLURM_NODEID=zero\n",
        answer=node(
            16,
            binding=["slurm SLURM_CPUS_ON_NODE"],
            findings=["SLURM_NODEID", "SLURM_TASKS_PER_NODE"],
        ),
    )


def mpi(m):
    m(
        "ompi-unbound",
        "mpirun --bind-to none -n 4: ranks share the mask",
        NODE,
        v2(),
        env="OMPI_COMM_WORLD_LOCAL_SIZE=4\nOMPI_COMM_WORLD_SIZE=4\n",
        answer=node(8, binding=["mpi OMPI_COMM_WORLD_LOCAL_SIZE"]),
    )
    m(
        "ompi-bound",
        "each of 4 ranks bound to 8 CPUs: the mask is per rank, nothing is divided",
        NODE,
        bound("0-7"),
        v2(),
        env="OMPI_COMM_WORLD_LOCAL_SIZE=4\n",
        answer=half(8, binding=[MASK, "mpi OMPI_COMM_WORLD_LOCAL_SIZE"]),
    )
    m(
        "ompi-bound-narrow",
        "each of 4 ranks bound to 2 CPUs",
        NODE,
        bound("4-5"),
        v2(),
        env="OMPI_COMM_WORLD_LOCAL_SIZE=4\n",
        answer=node(2, allowed="4-5", topo=(2, 1, 1, 1), binding=[MASK]),
    )
    m(
        "ompi-bound-to-socket",
        "8 ranks, 4 to a socket: masks overlap, so the node is divided",
        NODE,
        bound("0-15"),
        v2(),
        env="OMPI_COMM_WORLD_LOCAL_SIZE=8\n",
        answer=node(
            4, allowed="0-15", topo=(16, 1, 1, 1), binding=["mpi OMPI_COMM_WORLD_LOCAL_SIZE"]
        ),
    )
    m(
        "ompi-more-ranks-than-cpus",
        "40 ranks on 32 CPUs: 0.8 each, one thread",
        NODE,
        v2(),
        env="OMPI_COMM_WORLD_LOCAL_SIZE=40\n",
        answer=node(0.8, binding=["mpi OMPI_COMM_WORLD_LOCAL_SIZE"]),
    )
    m(
        "mpich-shares-quota",
        "4 ranks in a container of 6 CPUs' time: they share that",
        NODE,
        v2("/", {"": {"cpu.max": "600000 100000"}}),
        env="MPI_LOCALNRANKS=4\n",
        answer=node(1.5, binding=["mpi MPI_LOCALNRANKS"]),
    )
    m(
        "mpich-in-cpuset",
        "3 unbound ranks in a job's cpuset of 12",
        NODE,
        bound("0-11"),
        v2("/job", {"/job": {"cpuset.cpus.effective": "0-11"}}),
        env="MPI_LOCALNRANKS=3\n",
        answer=node(4, allowed="0-11", topo=(12, 1, 1, 1), binding=["mpi MPI_LOCALNRANKS"]),
    )
    m(
        "mpich-beside-cpuset",
        "4 ranks, and a cpuset that is not believed: they share the machine",
        NODE,
        bound("0-3"),
        v2("/job", {"/job": {"cpuset.cpus.effective": "40-41"}}),
        env="MPI_LOCALNRANKS=4\n",
        answer=node(
            4, allowed="0-3", topo=(4, 1, 1, 1), binding=[MASK], findings=["none of the CPUs"]
        ),
    )
    m(
        "mvapich",
        "MVAPICH's name for it",
        NODE,
        v2(),
        env="MV2_COMM_WORLD_LOCAL_SIZE=16\n",
        answer=node(2, binding=["mpi MV2_COMM_WORLD_LOCAL_SIZE"]),
    )
    m(
        "pmi-local-size",
        "the process manager's name for it",
        NODE,
        v2(),
        env="PMI_LOCAL_SIZE=2\n",
        answer=node(16, binding=["mpi PMI_LOCAL_SIZE"]),
    )
    m(
        "mpi-one-rank",
        "one rank has all",
        NODE,
        v2(),
        env="OMPI_COMM_WORLD_LOCAL_SIZE=1\n",
        answer=node(32, binding=[ONLINE]),
    )
    m(
        "mpi-zero-ranks",
        "no rank at all is nonsense",
        NODE,
        v2(),
        env="OMPI_COMM_WORLD_LOCAL_SIZE=0\n",
        answer=node(32, binding=[ONLINE], findings=["OMPI_COMM_WORLD_LOCAL_SIZE"]),
    )


def others(m):
    host = {"proc/sys/kernel/hostname": "beta\n"}
    m(
        "lsf-hosts",
        "LSF lists hosts with slots; ours is beta",
        NODE,
        v2(),
        host,
        env="LSB_MCPU_HOSTS=alpha 16 beta.example.org 6\nLSB_DJOB_NUMPROC=22\n",
        answer=node(6, binding=["lsf LSB_MCPU_HOSTS"]),
    )
    m(
        "lsf-numproc",
        "the job's slots, when hosts are not listed",
        NODE,
        v2(),
        host,
        env="LSB_DJOB_NUMPROC=12\nLSB_MAX_NUM_PROCESSORS=20\n",
        answer=node(12, binding=["lsf LSB_DJOB_NUMPROC"]),
    )
    m(
        "lsf-max-and-ranks",
        "the older name, shared by 4 ranks",
        NODE,
        v2(),
        host,
        env="LSB_MAX_NUM_PROCESSORS=20\nOMPI_COMM_WORLD_LOCAL_SIZE=4\n",
        answer=node(5, binding=["lsf LSB_MAX_NUM_PROCESSORS"]),
    )
    m(
        "pbs-ncpus",
        "PBS Professional",
        NODE,
        v2(),
        env="PBS_JOBID=1.head\nNCPUS=8\n",
        answer=node(8, binding=["pbs NCPUS"]),
    )
    m(
        "torque-ppn",
        "Torque",
        NODE,
        v2(),
        env="PBS_JOBID=1.head\nPBS_NUM_PPN=10\n",
        answer=node(10, binding=["pbs PBS_NUM_PPN"]),
    )
    m(
        "grid-engine-slots",
        "Grid Engine",
        NODE,
        v2(),
        env="JOB_ID=7\nSGE_ROOT=/sge\nNSLOTS=4\n",
        answer=node(4, binding=["sge NSLOTS"]),
    )
    m(
        "grid-engine-hosts",
        "a parallel environment over two hosts; ours is beta",
        NODE,
        v2(),
        host,
        {"spool/pe": "alpha.example.org 16 all.q UNDEFINED\nbeta.example.org 6 all.q UNDEFINED\n"},
        env="JOB_ID=7\nPE_HOSTFILE=/spool/pe\nNSLOTS=22\n",
        answer=node(6, binding=["sge PE_HOSTFILE"]),
    )
    m(
        "condor-slot",
        "HTCondor, a slot of three CPUs",
        NODE,
        v2(),
        {"scratch/.machine.ad": 'Arch = "X86_64"\nCpus = 3\nCpusProvisioned = 9\n'},
        env="_CONDOR_MACHINE_AD=/scratch/.machine.ad\n",
        answer=node(3, binding=["condor _CONDOR_MACHINE_AD"]),
    )
    m(
        "condor-without-a-number",
        "no count in HTCondor's file",
        NODE,
        v2(),
        {"scratch/.machine.ad": "Cpus = 1000000000000"},
        env="_CONDOR_MACHINE_AD=/scratch/.machine.ad\n",
        answer=node(32, binding=[ONLINE], findings=["_CONDOR_MACHINE_AD"]),
    )
    m(
        "condor-without-its-file",
        "HTCondor's file is gone",
        NODE,
        v2(),
        env="_CONDOR_MACHINE_AD=/scratch/.machine.ad\n",
        answer=node(32, binding=[ONLINE], findings=["_CONDOR_MACHINE_AD"]),
    )
    m(
        "nslots-outside-of-a-job",
        "somebody's own NSLOTS means nothing to us",
        NODE,
        v2(),
        env="NSLOTS=4\n",
        answer=node(32, binding=[ONLINE]),
    )
    m(
        "ncpus-without-pbs",
        "somebody's own NCPUS means nothing to us",
        NODE,
        v2(),
        env="NCPUS=3\n",
        answer=node(32, binding=[ONLINE]),
    )

    pod = "KUBERNETES_SERVICE_HOST=10.0.0.1\n"
    m(
        "k8s-downward-limit",
        "limits.cpu passed on as CPU_LIMIT, in thousandths with an m",
        NODE,
        v2(),
        env=pod + "CPU_LIMIT=2500m\n",
        answer=node(2.5, binding=["kubernetes CPU_LIMIT"]),
    )
    m(
        "k8s-downward-divisor",
        "divisor 1m without the m: 2500 CPUs cannot be meant",
        NODE,
        v2(),
        env=pod + "CPU_LIMIT=2500\n",
        answer=node(32, binding=[ONLINE], findings=["divisor 1m"]),
    )
    m(
        "k8s-name-outside-pod",
        "CPU_LIMIT outside a pod is somebody else's",
        NODE,
        v2(),
        env="CPU_LIMIT=2\n",
        answer=node(32, binding=[ONLINE]),
    )
    m(
        "k8s-own-name",
        "COREWISE_CPU_LIMIT is ours anywhere, and comes first",
        NODE,
        v2(),
        env="COREWISE_CPU_LIMIT=3\n" + pod + "CPU_LIMIT=2\n",
        answer=node(3, binding=["kubernetes COREWISE_CPU_LIMIT"]),
    )

    m(
        "loky-max",
        "LOKY_MAX_CPU_COUNT",
        NODE,
        v2(),
        env="LOKY_MAX_CPU_COUNT=6\n",
        answer=node(6, binding=["loky LOKY_MAX_CPU_COUNT"]),
    )
    m(
        "joblib-worker",
        "one of 8 joblib workers: its share, though OMP_NUM_THREADS was inherited",
        NODE,
        v2(),
        env="ENABLE_IPC=1\nOMP_NUM_THREADS=32\nVECLIB_MAXIMUM_THREADS=4\n",
        answer=node(4, binding=["joblib VECLIB_MAXIMUM_THREADS"]),
    )
    m(
        "veclib-without-joblib",
        "a shell that sets every thread variable is no worker",
        NODE,
        v2(),
        env="OMP_NUM_THREADS=1\nVECLIB_MAXIMUM_THREADS=1\n",
        answer=node(32, binding=[ONLINE]),
    )


def users(m):
    m(
        "user-cap",
        "COREWISE_BUDGET=1.5",
        NODE,
        v2(),
        env="COREWISE_BUDGET=1.5\n",
        answer=node(1.5, binding=["user COREWISE_BUDGET"]),
    )
    m(
        "user-cap-not-binding",
        "a cap above the quota changes nothing",
        NODE,
        v2("/a", {"/a": {"cpu.max": "200000 100000"}}),
        env="COREWISE_BUDGET=4\n",
        answer=node(2, binding=["quota /sys/fs/cgroup/a/cpu.max"]),
    )
    for name, value in (
        ("negative", "-3"),
        ("zero", "0"),
        ("nan", "nan"),
        ("words", "all of it"),
        ("above-machine", "33"),
        ("overflow", "1" + "0" * 400),
    ):
        m(
            f"user-cap-{name}",
            "a cap that cannot be meant is a finding",
            NODE,
            v2(),
            env=f"COREWISE_BUDGET={value}\n",
            answer=node(32, binding=[ONLINE], findings=["COREWISE_BUDGET was ignored"]),
        )
    m(
        "user-cap-empty",
        "an empty variable is not set",
        NODE,
        v2(),
        env="COREWISE_BUDGET=\n",
        answer=node(32, binding=[ONLINE]),
    )
    m(
        "openmp-bound-main-thread",
        "OMP_PROC_BIND=close bound the main thread to one CPU",
        NODE,
        bound("0"),
        v2(),
        env="OMP_PROC_BIND=close\n",
        answer=node(
            1,
            allowed="0",
            topo=(1, 1, 1, 1),
            binding=[MASK],
            findings=["OMP_PROC_BIND=close may have bound"],
        ),
    )
    m(
        "openmp-binding-off",
        "OMP_PROC_BIND=false binds nobody",
        NODE,
        bound("0-7"),
        v2(),
        env="OMP_PROC_BIND=false\n",
        answer=half(8, binding=[MASK]),
    )
