"""Nested programs: default, OMP_NUM_THREADS=1 and governed, in one run, each in a fresh process.

COREWISE_LIBRARY names libcorewise.so. Arguments: parts of the workloads' names."""

import os
import pathlib
import subprocess
import sys

HERE = str(pathlib.Path(__file__).parents[1] / "tests/govern")
WORK = {
    "logreg serial": "X,y=data(20000,50)\ndef f():\n  return [LogisticRegression().fit(X,y).coef_[0,0] for _ in range(3)][0]",
    "logreg 2 py threads": "X,y=data(20000,50)\ndef f():\n  with ThreadPoolExecutor(2) as e: return list(e.map(lambda i: LogisticRegression().fit(X,y).coef_[0,0], range(4)))[0]",
    "kmeans serial": "X,y=data(20000,20)\ndef f():\n  return [KMeans(8,n_init=1,random_state=i).fit(X).inertia_ for i in range(4)][0]",
    "hgb serial": "X,y=data(5000,20)\ndef f():\n  return HistGradientBoostingClassifier(max_iter=20,random_state=0).fit(X,y).score(X,y)",
    "chol 8 threads": "A=np.random.default_rng(0).standard_normal((220,220)); B=A@A.T+220*np.eye(220)\ndef f():\n  with ThreadPoolExecutor(8) as e: return list(e.map(lambda i: scipy.linalg.cho_factor(B)[0][0,0], range(400)))[0]",
    "matmul 500 serial": "A=np.random.default_rng(0).standard_normal((500,500))\ndef f():\n  return [float((A@A)[0,0]) for _ in range(60)][0]",
    "matmul 10 serial (small calls)": "A=np.random.default_rng(0).standard_normal((10,10))\ndef f():\n  s=0.\n  for _ in range(100000): s=A@A\n  return s[0,0]",
    "svd 200 8 threads": "A=np.random.default_rng(0).standard_normal((200,200))\ndef f():\n  with ThreadPoolExecutor(8) as e: return list(e.map(lambda i: scipy.linalg.svd(A)[1][0], range(16)))[0]",
}
for p in (2, 4, 8):
    WORK["hgb pool %d" % p] = (
        "X,y=data(5000,20)\ndef one(i): return HistGradientBoostingClassifier(max_iter=10,random_state=0).fit(X,y).score(X,y)\ndef f():\n  with ProcessPoolExecutor(%d) as e: return list(e.map(one, range(8)))[0]"
        % p
    )
    WORK["logreg pool %d" % p] = (
        "X,y=data(20000,50)\ndef one(i): return LogisticRegression().fit(X,y).coef_[0,0]\ndef f():\n  with ProcessPoolExecutor(%d) as e: return list(e.map(one, range(8)))[0]"
        % p
    )
    WORK["kmeans pool %d" % p] = (
        "X,y=data(20000,20)\ndef one(i): return KMeans(8,n_init=1,random_state=i).fit(X).inertia_\ndef f():\n  with ProcessPoolExecutor(%d) as e: return list(e.map(one, range(12)))[0]"
        % p
    )
HEAD = (
    """
import sys,time,resource; sys.path.insert(0,%r)
import numpy as np, scipy.linalg
from concurrent.futures import *
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import HistGradientBoostingClassifier
def data(n,d):
  r=np.random.default_rng(0); X=r.standard_normal((n,d)); return X,(X[:,0]+.1*r.standard_normal(n)>0).astype(int)
"""
    % HERE
)
TAIL = """
def cpu():
  a=resource.getrusage(resource.RUSAGE_SELF);b=resource.getrusage(resource.RUSAGE_CHILDREN)
  return a.ru_utime+a.ru_stime+b.ru_utime+b.ru_stime
if sys.argv[1]=='gov':
  import cw; cw.govern(0,'bench')
best=9e9
for i in range(int(sys.argv[2])):
  c=cpu();t=time.perf_counter(); r=f(); t=time.perf_counter()-t; c=cpu()-c
  if t<best: best=t; bc=c
print(best,bc,repr(float(r)))
"""


def run(code, mode, timeout=25, reps=2):
    env = dict(os.environ)
    env.pop("OPENBLAS_CORETYPE", None)
    env.pop("OPENBLAS_L2_SIZE", None)
    if mode == "omp1":
        env["OMP_NUM_THREADS"] = "1"
    try:
        o = subprocess.run(
            [sys.executable, "-c", HEAD + code + TAIL, mode, str(reps)],
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return (timeout, float("nan"), "timeout")
    if o.returncode:
        return (float("nan"), 0, "rc %d %s" % (o.returncode, o.stderr[-300:]))
    a, b, c = o.stdout.split()
    return float(a), float(b), c


if __name__ == "__main__":
    names = (
        [n for n in WORK if any(s in n for s in sys.argv[1:])]
        if len(sys.argv) > 1
        else WORK
    )
    print(
        "%-32s %18s %18s %18s  gov/def gov/omp1"
        % ("workload (wall s, cpu s)", "default", "OMP=1", "governed")
    )
    for n in names:
        r = {m: run(WORK[n], m) for m in ("gov", "default", "omp1")}
        f = lambda m: "%8.3f %8.3f" % r[m][:2]
        print(
            "%-32s %18s %18s %18s  %.2f %.2f %s"
            % (
                n,
                f("default"),
                f("omp1"),
                f("gov"),
                r["gov"][0] / r["default"][0],
                r["gov"][0] / r["omp1"][0],
                ""
                if r["gov"][2] == r["omp1"][2] or r["gov"][2] == r["default"][2]
                else str([r[m][2] for m in r]),
            ),
            flush=True,
        )
