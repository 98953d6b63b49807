# The namespaces of one instance: network, mounts, processes. Everything of the instance lives in them, so that its
# addresses, mounts and sockets clash with nothing on the machine, and ending one process (the keeper, process 1 inside)
# ends it all.
#
# Host and instance are joined by a veth pair with a /30 of its own: <net>.<4 n>.1 here, .2 there.
# shellcheck shell=bash disable=SC2154  # $state, $name and $here are set by the script that sources this

# Two octets that no network of the machine uses.
readonly kNet=${TIDEMARK_NET:-10.213}
readonly kMaxInstances=64

keeper_pid() { pgrep -f "^tidemark-keeper .* ${state//./\\.}\$" | head -n 1; }

address() { cat "$state/address"; }
host_address() { printf '%s.1\n' "$(address | cut -d. -f1-3)"; }

# own_links: the names of the instance's links. By their alias: a name and its address are another instance's as soon as
# the link is gone.
own_links() { ip -o link show | sed -n "s|^[0-9]*: \([^:@]*\)[:@].*\\\\ *alias ${state//./\\.}\$|\1|p"; }

# inside COMMAND...: runs COMMAND in the instance's namespaces, and ends with it.
inside() { nsenter --target "$(keeper_pid)" --mount --net --pid --uts --ipc -- "$@"; }

sandbox_start() {
  if [[ -z $(keeper_pid) ]]; then
    rm -rf "$state/sandbox-ready"
    mkdir -p "$state/logs" "$state/pids" "$state/root"
    # shellcheck disable=SC2016  # expanded by the inner bash
    setsid unshare --fork --pid --mount-proc --mount --net --uts --ipc \
      bash -c 'exec -a tidemark-keeper bash "$1" "$2"' _ "$here/lib/keeper.sh" "$state" \
      >>"$state/logs/keeper.log" 2>&1 </dev/null 9>&- &
    wait_until 10 test -e "$state/sandbox-ready" || fail_with_log keeper "the namespaces were not ready in 10 s"
  fi
  [[ -s $state/address ]] || join_networks
}

# join_networks: takes the first free number. Creating the link is what claims it, so that instances with another state
# directory are seen too.
join_networks() {
  local n pid
  pid=$(keeper_pid)
  for ((n = 0; n < kMaxInstances; n++)); do
    ip link add "tidemark$n" type veth peer name eth0 netns "$pid" 2>/dev/null || continue
    ip link set "tidemark$n" alias "$state"
    ip addr add "$kNet.$n.1/30" dev "tidemark$n"
    ip link set "tidemark$n" up
    inside ip addr add "$kNet.$n.2/30" dev eth0
    inside ip link set eth0 up
    # A Service's address must have a route before kube-proxy's rules see the packet. The world outside has none.
    inside ip route add "$kServiceRange" dev eth0
    inside ip route add unreachable default
    printf '%s.%s.2\n' "$kNet" "$n" >"$state/address"
    return
  done
  die "no free link of $kMaxInstances (tidemark0, tidemark1, ...): see 'ip link'"
}

# start NAME COMMAND...: starts a component inside unless it runs; its log is logs/NAME.log.
start() {
  local component=$1
  shift
  running "$component" && return
  setsid nsenter --target "$(keeper_pid)" --mount --net --pid --uts --ipc -- "$@" \
    >>"$state/logs/$component.log" 2>&1 </dev/null 9>&- &
  printf '%s %s\n' $! "$(birth $!)" >"$state/pids/$component"
}

# birth PID: when that process began (clock ticks since boot), nothing if it is not there or only waits to be collected.
birth() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  read -r -a fields <<<"${stat##*) }" # what follows the name, which may hold anything
  [[ ${fields[0]} == Z ]] || printf '%s\n' "${fields[19]}"
}

# running NAME: the recorded process is alive, and is still the same one (numbers are used again).
running() {
  local pid born
  read -r pid born 2>/dev/null <"$state/pids/$1" && [[ -n $born && $(birth "$pid") == "$born" ]]
}

# ready NAME SECONDS COMMAND...: waits until COMMAND succeeds; gives up early when the component ends.
ready() {
  local component=$1 seconds=$2
  shift 2
  # shellcheck disable=SC2317  # called by wait_until
  settled() { ! running "$component" || "$@"; }
  wait_until "$seconds" settled "$@" || fail_with_log "$component" "$component was not ready in $seconds s"
  running "$component" || fail_with_log "$component" "$component ended"
}

fail_with_log() {
  say "error: $2; the end of $state/logs/$1.log:"
  tail -n 20 "$state/logs/$1.log" | cut -c1-400 | sed 's/^/    /' >&2
  exit 1
}

# Cgroups: the kubelet's pods are put under /tidemark-<name> of every hierarchy: several (v1), one (v2), or both kinds.
cgroup_hierarchies() { awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts; }

cgroups_make() {
  local dir
  while read -r dir; do
    mkdir -p "$dir/tidemark-$name"
    if [[ -e $dir/cgroup.subtree_control ]]; then
      local controller
      for controller in $(<"$dir/cgroup.controllers"); do
        printf '+%s\n' "$controller" >"$dir/cgroup.subtree_control" || true
        printf '+%s\n' "$controller" >"$dir/tidemark-$name/cgroup.subtree_control" || true
      done 2>/dev/null
    elif [[ -e $dir/cpuset.cpus ]]; then
      cat "$dir/cpuset.cpus" >"$dir/tidemark-$name/cpuset.cpus"
      cat "$dir/cpuset.mems" >"$dir/tidemark-$name/cpuset.mems"
    fi
  done < <(cgroup_hierarchies)
}

cgroups_gone() {
  local dir gone=0
  while read -r dir; do
    [[ -d $dir/tidemark-$name ]] || continue
    find "$dir/tidemark-$name" -depth -type d -exec rmdir {} + 2>/dev/null || gone=1
  done < <(cgroup_hierarchies)
  return $gone
}

# sandbox_stop: ends everything of the instance, also what a killed run left, and its state.
sandbox_stop() {
  local link pid
  for link in $(own_links); do ip link delete "$link" 2>/dev/null || true; done
  while pid=$(keeper_pid) && [[ -n $pid ]]; do
    kill -KILL "$pid"
    # Process 1 is gone only when all the others are.
    wait_until 30 test ! -e "/proc/$pid" || die "process $pid of '$name' does not end"
  done
  wait_until 10 cgroups_gone || true
  rm -rf --one-file-system "$state"
}

# leftovers: prints whatever of the instance is still on the machine.
leftovers() {
  local dir pid
  pid=$(keeper_pid)
  [[ -z $pid ]] || say "process $pid (keeper)"
  pgrep -af -- "$state/" | grep -v "^$$ " | grep -E ' (etcd|kube|containerd|runc|docker-registry)' || true
  own_links
  grep -F " $state/" /proc/self/mounts || true
  while read -r dir; do
    [[ ! -e $dir/tidemark-$name ]] || printf '%s\n' "$dir/tidemark-$name"
  done < <(cgroup_hierarchies)
  [[ ! -e $state ]] || printf '%s\n' "$state"
}
