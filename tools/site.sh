#!/usr/bin/env bash
# Builds the site of docs/ into build/site. Anything that is not right, a link without an end or a
# public name without a comment, is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m sphinx -W --keep-going -E -q -b html -d build/doctrees docs build/site
