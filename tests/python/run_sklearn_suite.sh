#!/bin/sh
# scikit-learn's own tests of what uses threadpoolctl, with the drop-in in its place.
# usage: run_sklearn_suite.sh [PYTHON [pytest option...]]; PYTHON has corewise, scikit-learn and pytest.
# All 430 of them: about a minute on two free cores. The last line is PASS or FAIL.
python=${1:-python}; [ $# -gt 0 ] && shift
folder=$("$python" -c 'import os, sklearn; print(os.path.dirname(sklearn.__file__))') || exit 2
export COREWISE_THREADPOOLCTL=1
"$python" -c 'import threadpoolctl as t; assert t.__name__ == "corewise.threadpoolctl", t' || exit 2
if (cd "$folder/.." && "$python" -m pytest -q -p no:cacheprovider --no-header \
  sklearn/cluster/tests/test_k_means.py \
  sklearn/utils/tests/test_parallel.py \
  sklearn/metrics/tests/test_pairwise_distances_reduction.py "$@")
then echo PASS; else echo FAIL; exit 1; fi
