#!/usr/bin/env bash
# What README promises for a fresh Debian or Ubuntu, with the last commit: its install block, as
# printed, and then the first commands; or with `test` its test command, beside the packages that it
# asks for. As root: debootstrap makes the root below ROOTS and chroot enters it.
#
#   tests/install/fresh_root.sh bookworm|trixie|jammy|noble [test]
set -euo pipefail
cd "$(dirname "$0")/../.."
usage="usage: tests/install/fresh_root.sh bookworm|trixie|jammy|noble [test]"
suite=${1:?$usage}
what=${2:-install}
case $what in install | test) ;; *) echo "$usage" >&2 && exit 2 ;; esac
root=${ROOTS:-/var/tmp/corewise-roots}/$suite-$what

case $suite in
  jammy | noble) mirror=http://archive.ubuntu.com/ubuntu components=main,universe ;;
  *) mirror=http://deb.debian.org/debian components=main ;;
esac
if ! command -v debootstrap >/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
fi
# Debian 12 has no keys of Ubuntu; the root is thrown away.
check=()
[ -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ] || check=(--no-check-gpg)
if [ ! -e "$root/.made" ]; then
  mkdir -p "$root"
  script=$suite
  [ -e "/usr/share/debootstrap/scripts/$suite" ] || case $suite in
    noble) script=jammy ;;
    *) script=sid ;;
  esac
  debootstrap "${check[@]}" --variant=minbase --components=$components --include=ca-certificates \
    "$suite" "$root" $mirror "/usr/share/debootstrap/scripts/$script" >/dev/null
  touch "$root/.made"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
# As on a machine, / is a mount: `unshare -m` needs that.
mountpoint -q "$root" || mount --bind "$root" "$root"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
mountpoint -q "$root/dev" || mount --rbind /dev "$root/dev"
mountpoint -q "$root/sys" || mount -t sysfs -o ro sysfs "$root/sys"
trap 'umount -R "$root" 2>/dev/null || true' EXIT

rm -rf "$root/corewise" "$root/root/corewise-venv"
git clone -q --no-hardlinks . "$root/corewise"
enter() { chroot "$root" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PIP_CERT=/etc/ssl/certs/ca-certificates.crt bash -euo pipefail -c "$1"; }
megabytes() { du -sxm "$root" | cut -f1; }

if [ "$what" = test ]; then
  enter "apt-get update -qq; apt-get install -y -qq git make cmake g++ python3-venv python3-dev >/dev/null"
  before=$(megabytes) started=$SECONDS
  enter "cd /corewise; make test"
  echo "test: $suite is fine, in $((SECONDS - started)) s; what was downloaded and built takes $(($(megabytes) - before)) MB"
  exit
fi
block=$(awk '/^## Install/ { here = 1 } here && /^```sh/ { on = 1; next } on && /^```/ { exit } on' README.md)
started=$SECONDS
# A fresh root has no sudo, and needs none.
enter "cd /corewise; sudo() { \"\$@\"; }
$block
corewise info -i ipykernel >/dev/null
corewise doctor -i numpy
corewise run -q -- python -c 'import numpy; print(\"governed\", (numpy.ones((500, 500)) @ numpy.ones((500, 500))).sum())'
python -c 'import corewise; print(corewise.info())'"
echo "install: $suite is fine, in $((SECONDS - started)) s"
