#!/bin/sh
# Checks the ledger's model exhaustively: every interleaving, every death and stop, no state dropped.
# usage: run_spin.sh [full | sizes, e.g. -DP=2 -DBUDGET=4]
# Without arguments: what CI checks, within a minute. Needs spin and a C compiler; exits 77 (skipped)
# without them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null 2>&1 && command -v cc >/dev/null 2>&1 || {
  echo "spin or a C compiler is missing: the model was not checked"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

explore() {
  cd "$(mktemp -d "$work/XXXXXX")"
  spin -a "$@" "$here/ledger.pml" >spin.log || { cat spin.log; exit 1; }
  cc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=8000 -o pan pan.c
  # -E: a reaper that finds nothing to look at is no error. -m: depth of the search.
  ./pan -E -m2000000 -n >pan.log 2>&1 || { cat pan.log; exit 1; }
}

check() {
  explore "$@"
  if ! grep -q 'errors: 0' pan.log || grep -Eq 'max search depth too small|out of memory' pan.log; then
    cat pan.log
    ls ./*.trail >/dev/null 2>&1 && spin -t -p -g "$@" "$here/ledger.pml" | tail -60
    echo "FAILED: $*"
    exit 1
  fi
  echo "ok: $* $(grep -o '[0-9.e+]* states, stored' pan.log)"
}

# A model that cannot fail proves nothing: with this mistake it must.
must_fail() {
  explore "$@"
  grep -q 'assertion violated' pan.log || { cat pan.log; echo "NOT SEEN: $*"; exit 1; }
  echo "seen: $*"
}

case "${1:-}" in
-*) check "$@" ;;
full)
  # Six minutes and 6 GB; two minutes and 3 GB.
  check -DP=3 -DBUDGET=3 -DROUNDS=1 -DDEATHS=1 -DREAPERS=1
  check -DP=2 -DBUDGET=4 -DROUNDS=1 -DDEATHS=2 -DREAPERS=2
  ;;
*)
  # Two at a time, of about the same length.
  (
    check -DP=2 -DBUDGET=4 -DROUNDS=2 -DDEATHS=1 -DREAPERS=1
    # Ranks that lend: each has a part of two.
    check -DP=2 -DBUDGET=4 -DROUNDS=2 -DDEATHS=1 -DREAPERS=1 -DPART=2
    check -DP=2 -DBUDGET=4 -DROUNDS=1 -DDEATHS=1 -DREAPERS=1
    check -DP=3 -DBUDGET=3 -DROUNDS=1 -DDEATHS=0 -DREAPERS=0
  ) &
  check -DP=2 -DBUDGET=4 -DROUNDS=2 -DDEATHS=0 -DREAPERS=1 -DSTOPS=1
  # What other users read.
  check -DP=2 -DBUDGET=3 -DROUNDS=2 -DDEATHS=0 -DREAPERS=0 -DPUBLIC=1
  check -DP=2 -DBUDGET=3 -DROUNDS=1 -DDEATHS=1 -DREAPERS=0 -DPUBLIC=1
  for mistake in 1 2 3; do
    must_fail -DP=2 -DBUDGET=3 -DROUNDS=2 -DDEATHS=0 -DREAPERS=0 -DPUBLIC=1 -DMISTAKE=$mistake
  done
  wait $!
  ;;
esac
