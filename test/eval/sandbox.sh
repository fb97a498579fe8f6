#!/bin/sh
# The inside of the sandbox, first half: run by `unshare` (see sandbox.ts) as process 1 of new namespaces, with their
# mounts still those of the machine. Makes a root of its own, read-only but for a small /tmp, with system libraries and
# Python in it and nothing else (no /home, /root, /proc or /sys); then gives up every right and becomes Python.
#
# sandbox.sh ROOT USER MEMORY PROCESSES SECONDS FILE PYTHON SCRIPTS PATH…
#   ROOT an empty folder · USER a number to become, or "-" · MEMORY, FILE in bytes · PATH… folders to be seen, read-only
set -eu
root=$1 user=$2 memory=$3 processes=$4 seconds=$5 file=$6 python=$7 scripts=$8
shift 8
mount -t tmpfs -o size=4m,mode=755,nosuid,nodev tmpfs "$root"

see() { # FROM TO
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro,nosuid,nodev "$root$2"
}
for path in "$@"; do
  if [ -L "$path" ]; then cp -P "$path" "$root$path"; else see "$path" "$path"; fi
done
see "$scripts" /scripts
mkdir "$root/dev" "$root/tmp" "$root/old" "$root/proc"
for device in null zero urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o size=16m,mode=1777,nosuid,nodev tmpfs "$root/tmp"
# umount(8) reads what is mounted, and then goes without.
mount --rbind /proc "$root/proc"
cd "$root"
pivot_root . old
cd /
umount -l /old
umount -l /proc
rmdir /old /proc
mount -o remount,ro,nosuid,nodev /
cd /tmp
if [ "$user" != - ]; then set -- --reuid "$user" --regid "$user" --clear-groups; else set --; fi
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@" \
  prlimit "--as=$memory" "--nproc=$processes" "--cpu=$seconds" "--fsize=$file" --nofile=64 --core=0 \
  "$python" -I -B /scripts/run.py
