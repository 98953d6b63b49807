#!/usr/bin/env bash
# Process 1 of an instance's namespaces (see sandbox.sh). It gives the instance its own /run, /var/log and so on, says that
# it is ready, and then only stays: bash reaps the orphans that it inherits. When it dies the kernel ends every process
# inside, drops the mounts and deletes the network namespace.
set -euo pipefail

state=$1

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock
# A path that is missing on the machine is made there: an empty directory, as the package itself would make it.
for path in /var/log /var/lib/kubelet /var/lib/containerd /var/lib/cni; do
  mkdir -p "$path" "$state/root$path"
  mount --bind "$state/root$path" "$path"
  # Mounts made below by the kubelet must reach containerd's containers: one peer group for both.
  mount --make-shared "$path"
done
# The kubelet insists on some settings of the whole machine's kernel. It finds the values it wants here, and the
# machine keeps its own.
settings="$state/root/sysctl"
mkdir -p "$settings"
while read -r key value; do
  [[ -e /proc/sys/$key ]] || continue
  printf '%s\n' "$value" >"$settings/${key//\//.}"
  mount --bind "$settings/${key//\//.}" "/proc/sys/$key"
done <<'SETTINGS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS

ip link set lo up
printf '1\n' >/proc/sys/net/ipv4/ip_forward

trap 'exit 0' TERM
: >"$state/sandbox-ready"
while :; do
  sleep 3600 &
  wait $!
done
