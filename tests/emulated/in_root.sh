#!/usr/bin/env bash
# Runs a command in the arm64 root that root.sh made; it and all that it starts run under the
# emulator, as on a core of the story's machine. Mounts, the registration of the emulator, /tmp and
# processes left behind are gone when the command has ended.
#
#   tests/emulated/in_root.sh now|seed [NAME=VALUE...] COMMAND...
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)/build/arm64-root
environment=${1:?usage: tests/emulated/in_root.sh now|seed [NAME=VALUE...] COMMAND...}
shift

enter() {
  mount -t proc proc "$root/proc"
  # A namespace has handlers of its own since Linux 6.7. Before, those of the machine serve, which
  # systemd registers when qemu-user-static is installed.
  local handlers=$root/proc/sys/fs/binfmt_misc
  if mount -t binfmt_misc binfmt_misc "$handlers" 2>/dev/null; then
    cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$handlers/register"
  fi
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  # Without the ledgers of this machine's processes.
  mount -t tmpfs tmpfs "$root/dev/shm"
  mount -t tmpfs tmpfs "$root/tmp"
  local code=0
  # Not as process 1, which signals treat differently.
  env -i PATH="/srv/$environment/bin:/usr/bin:/usr/sbin" HOME=/tmp LC_ALL=C.UTF-8 COLUMNS=100 QEMU_CPU=neoverse-n1 \
    chroot "$root" /usr/bin/env -C /tmp "$@" || code=$?
  exit $code
}
export -f enter
export root environment
exec unshare --user --map-root-user --mount --pid --fork --kill-child \
  bash -euc 'enter "$@"' in_root "$@"
