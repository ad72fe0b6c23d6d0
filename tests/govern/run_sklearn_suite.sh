#!/bin/sh
# scikit-learn's own tests of what runs thread pools, under `corewise run`, once for each joblib backend.
# usage: run_sklearn_suite.sh PYTHON [pytest option...]; PYTHON's environment has corewise and pytest.
# test_backend_respected is left out: it fails wherever threading is the backend, governed or not.
# Half an hour on two cores. The last line is PASS or FAIL. With COREWISE_BUDGET=1 OMP_NUM_THREADS=4 every
# team that may be is cut to one thread, however quiet the machine is.
python=$1; shift
folder=$("$python" -c 'import os, sklearn; print(os.path.dirname(sklearn.__file__))') || exit 2
configuration=$(mktemp -d)
trap 'rm -r "$configuration"' EXIT
: >"$configuration/pytest.ini"  # or pytest takes this project's, which knows no marks of theirs
cat >"$configuration/backend.py" <<'EOF'
import os
import joblib
joblib.parallel_config(backend=os.environ["JOBLIB_BACKEND"]).__enter__()
EOF
failed=0
for backend in loky threading; do
  echo "joblib backend: $backend"
  (cd "$folder/.." && JOBLIB_BACKEND=$backend PYTHONPATH=$configuration \
    "$(dirname "$python")/corewise" run -q -- "$python" -m pytest -q -p no:cacheprovider -p backend \
    --no-header --disable-warnings -c "$configuration/pytest.ini" --rootdir . \
    --deselect sklearn/ensemble/tests/test_forest.py::test_backend_respected \
    sklearn/cluster sklearn/linear_model sklearn/ensemble sklearn/decomposition \
    sklearn/neighbors sklearn/metrics sklearn/model_selection "$@") || failed=1
done
if [ $failed = 0 ]; then echo PASS; else echo FAIL; exit 1; fi
