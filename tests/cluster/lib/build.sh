# Builds the tree with meson.
# shellcheck shell=bash disable=SC2154

# build_dir DIRECTORY [MESON OPTION...]: configures $top/DIRECTORY if it is not yet, and builds it.
build_dir() {
  local dir=$1
  shift
  if [[ ! -e $top/$dir/build.ninja ]]; then
    say "  configuring $dir"
    local log
    log=$(meson setup "$top/$dir" "$top" "$@" 2>&1) || {
      say "$log"
      die "meson setup $dir failed"
    }
  fi
  say "  building $dir ($(nproc) jobs)"
  # ninja's own progress goes to stderr: what a caller prints stays clean.
  NINJA_STATUS='  [%f/%t %es] ' ninja -j "$(nproc)" -C "$top/$dir" >&2
}

build_release() { build_dir build --buildtype=release; }
