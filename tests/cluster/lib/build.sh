# Builds the tree with meson.
# shellcheck shell=bash disable=SC2154

# One compiler cache serves every build directory and every clone.
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$top

# configure DIRECTORY [MESON OPTION...]: sets $top/DIRECTORY up if it is not yet. Suites that run side by side take turns.
configure() (
  dir=$1
  shift
  flock 8
  [[ ! -e $top/$dir/build.ninja ]] || exit 0
  say "  configuring $dir"
  log=$(meson setup "$top/$dir" "$top" "$@" 2>&1) || {
    say "$log"
    die "meson setup $dir failed"
  }
) 8<"$top/meson.build"

# compile DIRECTORY [TARGET...]: all of it if no target is named. Its progress goes to stderr. Suites that run side by side take
# turns in one directory.
compile() {
  local dir=$1
  shift
  say "  building $dir ($(nproc) jobs)"
  NINJA_STATUS='  [%f/%t %es] ' flock "$top/$dir/.ninja_lock" ninja -j "$(nproc)" -C "$top/$dir" "$@" >&2
}

# build_programs: what a user runs, without the tests.
build_programs() {
  configure build --buildtype=release
  compile build webhook/tidemark-webhook sweeper/tidemark-sweeper tidemark/tidemark
}
