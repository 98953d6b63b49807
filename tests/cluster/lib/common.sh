# Small things that every script here uses: messages, waiting with a deadline, progress of long steps.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

usage_error() {
  say "error: $*"
  exit 2
}

# now_ms: milliseconds of a clock that only moves forward.
now_ms() {
  local up
  read -r up _ </proc/uptime
  printf '%s\n' $((10#${up/./} * 10))
}

# seconds_since MS: "12.3", the time since now_ms said MS.
seconds_since() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d\n' $((ms / 1000)) $((ms % 1000 / 100))
}

# wait_until SECONDS COMMAND...: runs COMMAND ten times a second until it succeeds; 1 once SECONDS have passed.
wait_until() {
  local deadline=$(($(now_ms) + $1 * 1000))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(now_ms) < deadline)) || return 1
    sleep 0.1
  done
}

# long_step TITLE LOG COMMAND...: runs COMMAND with its output in LOG, tells every 15 s that it goes on, and shows the
# end of LOG if it fails.
long_step() {
  local title=$1 log=$2 begin pid ticks=0
  shift 2
  begin=$(now_ms)
  say "  $title ..."
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    ((++ticks % 150)) || say "  $title: $(seconds_since "$begin") s so far"
  done
  if ! wait "$pid"; then
    say "  $title failed; the end of $log:"
    tail -n 25 "$log" | sed 's/^/    /' >&2
    return 1
  fi
  say "  $title: $(seconds_since "$begin") s"
}

require_root() {
  [[ $(id -u) == 0 ]] || die "$1 needs root: run it with sudo"
}

cache_dir() { printf '%s\n' "${TIDEMARK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemark}"; }
