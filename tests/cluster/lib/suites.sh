# The test suites of `./dev test`. A suite is a function suite_NAME that prints what it does, writes
# "PASSED FAILED SKIPPED" with `count`, and returns 1 when something failed.
# shellcheck shell=bash disable=SC2154

readonly kSuites=(unit lint asan tsan fuzz integration cluster browser)
# It takes as long as unit once more, and runs only where it is named.
readonly kNamedSuites=(trixie)
# The system's Python: its pytest and yaml come from Debian's packages.
readonly kPython=/usr/bin/python3

# count PASSED FAILED SKIPPED: adds to what this run has seen.
count() {
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# skip REASON: the machine cannot run this suite; it counts as one skipped test.
skip() {
  say "  skipped: $1"
  count 0 0 1
}

# count_report PROGRAM ARGUMENTS...: runs what prints "PASSED FAILED SKIPPED" as its last line.
count_report() {
  local numbers
  numbers=$("$@" | tail -n 1)
  # shellcheck disable=SC2086  # three words
  count $numbers
}

# meson_suite DIRECTORY SUITE [WRAPPER...]: runs it; counts GoogleTest's tests, not the programs that hold them. A caller whose
# programs are slow sets `patience`, by which meson's 30 s for a program are multiplied. A suite without a test fails.
meson_suite() {
  local dir=$1 suite=$2 reports log result=0
  shift 2
  log=$top/$dir/meson-logs/testlog.json
  reports=$(mktemp -d)
  rm -f "$log"
  GTEST_OUTPUT="json:$reports/" "$@" meson test -C "$top/$dir" --no-rebuild --print-errorlogs \
    --timeout-multiplier "${patience:-1}" --suite "$suite" >&2 || result=1
  [[ -s $log ]] || { say "  no test of $dir is in suite $suite" && result=1; }
  count_report "$kPython" "$here/lib/count_tests.py" meson "$log" "$reports"
  rm -rf "$reports"
  return $result
}

suite_unit() {
  configure build --buildtype=release
  compile build || return 1
  meson_suite build unit
}

# Built by clang, which the other suites do not show. Not optimised, and with line numbers for debugging alone: with -O2 -g these
# trees take five times as long to compile.
configure_sanitizer() {
  local dir=$1 sanitizers=$2
  shift 2
  CXX="ccache $kClang" configure "$dir" --buildtype=plain -Doptimization=0 -Dcpp_args=-gline-tables-only -Db_lundef=false \
    "-Db_sanitize=$sanitizers" "$@"
}

# One tree for the unit tests and the fuzzers.
configure_asan() {
  configure_sanitizer build-asan address,undefined -Dfuzzers=true
}

suite_asan() {
  local patience=10
  configure_asan
  compile build-asan all tidemark/tidemark || return 1
  ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    meson_suite build-asan unit
}

suite_tsan() {
  local patience=10
  configure_sanitizer build-tsan thread
  compile build-tsan || return 1
  # ThreadSanitizer's memory map does not bear the address randomisation of newer kernels.
  TSAN_OPTIONS=halt_on_error=1 meson_suite build-tsan unit setarch "$(uname -m)" --addr-no-randomize
}

# The saved inputs, then new ones from a few seconds of libFuzzer (tests/fuzz/README.md).
suite_fuzz() {
  local patience=10 result=0
  configure_asan
  compile build-asan fuzz-programs || return 1
  meson_suite build-asan replay || result=1
  meson_suite build-asan fuzz || result=1
  return $result
}

suite_lint() {
  local log result=0
  build_programs || return 1 # for the generated manifests and the compile commands
  log=$(mktemp)
  "$top/tests/lint/run" 2>&1 | tee "$log" >&2 || result=1
  count_report "$kPython" "$here/lib/count_tests.py" summary "$log"
  rm -f "$log"
  return $result
}

# pytest_suite FOLDER [FILE]: all of it, by the Python that a caller names in `python`; FILE, whose tests mostly wait, beside the
# others in a session (and on a cluster) of its own, its output at the end.
pytest_suite() {
  local folder=$top/tests/$1 aside=${2:-} python=${python:-$kPython} reports other='' result=0
  reports=$(mktemp -d)
  if [[ -n $aside ]]; then
    "$python" -m pytest "$folder/$aside" --junitxml "$reports/aside.xml" -v >"$reports/aside.log" 2>&1 &
    other=$!
  fi
  "$python" -m pytest "$folder" ${aside:+--ignore "$folder/$aside"} --junitxml "$reports/all.xml" -v >&2 || result=$?
  count_report "$kPython" "$here/lib/count_tests.py" junit "$reports/all.xml"
  if [[ -n $other ]]; then
    say "  waiting for $aside"
    wait "$other" || result=$?
    cat "$reports/aside.log" >&2
    count_report "$kPython" "$here/lib/count_tests.py" junit "$reports/aside.xml"
  fi
  rm -rf "$reports"
  return $result
}

suite_integration() {
  [[ $(id -u) == 0 ]] || { skip "it needs root for the network namespace of its API server" && return; }
  deps_install cluster
  build_programs || return 1
  pytest_suite integration test_certificates.py
}

suite_cluster() {
  [[ $(id -u) == 0 ]] || { skip "it needs root for the node" && return; }
  grep -Eq ' cgroup2? .*\brw\b' /proc/self/mounts || { skip "no writable cgroups for the kubelet" && return; }
  deps_install cluster
  build_programs || return 1
  pytest_suite cluster
}

# venv_python SUITE: what its requirements.txt names, pinned, in a virtual environment outside the tree that sees Debian's packages
# too. Prints its Python.
venv_python() {
  local requirements=$top/tests/$1/requirements.txt venv
  venv=$(cache_dir)/$1/$({ cat "$requirements" && "$kPython" --version; } | sha256sum | cut -c 1-16)
  if [[ ! -e $venv/complete ]]; then
    say "  installing what tests/$1/requirements.txt names"
    "$kPython" -m venv --clear --system-site-packages "$venv" >&2
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements" >&2
    touch "$venv/complete"
  fi
  printf '%s\n' "$venv/bin/python"
}

suite_browser() {
  local python
  [[ $(id -u) == 0 ]] || { skip "it needs root for the network namespace of its API server" && return; }
  deps_install cluster browser
  build_programs || return 1
  python=$(venv_python browser) || return 1
  pytest_suite browser
}

# unit_in_trixie ROOT: prints "PASSED FAILED SKIPPED" of the unit suite there, and a failure where it told none.
unit_in_trixie() {
  local numbers
  numbers=$(in_trixie "$1" ./dev test unit | tee /dev/stderr |
    sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p') || true
  printf '%s\n' "${numbers:-0 1 0}"
}

suite_trixie() {
  local root before=$failed
  [[ $(id -u) == 0 ]] || { skip "it needs root for the mounts of a root of Debian 13" && return; }
  deps_install cluster
  root=$(trixie_root "${kBuildPackages[@]}" "${kTestsPackages[@]}" ca-certificates) || return 1
  count_report unit_in_trixie "$root"
  ((failed == before))
}

# one_after_another RESULTS SUITE...: runs them, and writes what came of it to the file RESULTS: a line of "PASSED FAILED SKIPPED"
# and one with the names of those that failed.
one_after_another() {
  local results=$1 suite begin before failures=() passed=0 failed=0 skipped=0
  shift
  printf '0 1 0\n%s (broken off)\n' "$*" >"$results"
  for suite in "$@"; do
    begin=$(now_ms) before=$failed
    say "== $suite"
    if ! "suite_$suite"; then
      failures+=("$suite")
      # What failed before a test could: it is one failure.
      ((failed > before)) || count 0 1 0
    fi
    say "== $suite: $(seconds_since "$begin") s"
  done
  printf '%d %d %d\n%s\n' "$passed" "$failed" "$skipped" "${failures[*]}" >"$results"
}

# side_by_side FOLDER: each suite of `waiting`, and beside them those of `computing` one after another, which yield to them.
# The output of the waiting ones comes at their end.
side_by_side() {
  local folder=$1 suite pids=()
  set -m # process groups of their own, so that an interrupt reaches the Python in them
  for suite in "${waiting[@]}"; do
    one_after_another "$folder/$suite" "$suite" >"$folder/$suite.log" 2>&1 &
    pids+=("$!")
  done
  set +m
  # shellcheck disable=SC2064  # these very processes
  trap "kill -INT -- ${pids[*]/#/-} 2>/dev/null; wait ${pids[*]}; exit 130" INT TERM
  say "== ${waiting[*]}: beside the others, output at their end"
  if ((${#computing[@]})); then
    (renice -n 10 -p "$BASHPID" >/dev/null && one_after_another "$folder/computing" "${computing[@]}")
  fi
  for suite in "${!waiting[@]}"; do
    say "== waiting for ${waiting[suite]}"
    tail -n +1 -f --pid "${pids[suite]}" "$folder/${waiting[suite]}.log" >&2
    wait "${pids[suite]}" || true
  done
  trap - INT TERM
}

run_suites() {
  local suite folder first=() computing=() waiting=() wanted=("$@")
  ((${#wanted[@]})) || wanted=("${kSuites[@]}")
  for suite in "${wanted[@]}"; do
    case " ${kSuites[*]} ${kNamedSuites[*]} " in
      *" $suite "*) ;;
      *) usage_error "unknown suite '$suite': ${kSuites[*]} ${kNamedSuites[*]}" ;;
    esac
    case $suite in
      unit) first+=("$suite") ;; # it builds what the others use
      integration | cluster) waiting+=("$suite") ;;
      *) computing+=("$suite") ;;
    esac
  done
  deps_install build tests
  [[ ! " ${wanted[*]} " =~ \ (asan|tsan|fuzz)\  ]] || deps_install clang
  folder=$(mktemp -d)
  ((${#first[@]} == 0)) || one_after_another "$folder/first" "${first[@]}"
  if ((${#waiting[@]} > 1 || (${#waiting[@]} && ${#computing[@]}))); then
    side_by_side "$folder"
  else
    one_after_another "$folder/others" "${computing[@]}" "${waiting[@]}"
  fi
  sum_up "$folder"
}

# sum_up FOLDER: the last lines of a run.
sum_up() {
  local folder=$1 file numbers names failed_suites='' passed=0 failed=0 skipped=0
  for file in first computing "${waiting[@]}" others; do
    [[ -e $folder/$file ]] || continue
    { read -r numbers && read -r names; } <"$folder/$file" || true
    # shellcheck disable=SC2086  # three words
    count $numbers
    failed_suites+=${names:+ $names}
  done
  rm -rf "$folder"
  [[ -z $failed_suites ]] || printf 'failed suites:%s\n' "$failed_suites"
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  ((failed == 0))
}

# Which lines the unit suite runs, and with --integration the integration suite too (tests/README.md, "Coverage").
run_coverage() {
  local folder=build-coverage result=0 more=() passed=0 failed=0 skipped=0
  case ${1:-} in
    '') ;;
    --integration) more=(--more) ;;
    *) usage_error "unknown argument '$1': --integration" ;;
  esac
  deps_install build tests
  # Atomic: threads that count one line at the same time lose nothing, and make no number negative.
  configure $folder -Db_coverage=true --buildtype=plain -Doptimization=0 -Dcpp_args=-fprofile-update=atomic
  compile $folder || return 1
  find "$top/$folder" -name '*.gcda' -delete
  patience=4 meson_suite $folder unit || result=1
  if ((${#more[@]})); then
    require_root "the network namespace of the integration suite's API server"
    deps_install cluster
    TIDEMARK_BUILD=$top/$folder pytest_suite integration || result=1
  fi
  "$kPython" "$here/lib/coverage.py" "$top/$folder" "${more[@]}" || result=1
  return $result
}

# run_test_on trixie [SUITE...]: `./dev test` in a root of another release, whose compiler and libraries are its own.
run_test_on() {
  local root
  [[ ${1:-} == trixie ]] || usage_error "test-on needs a release: trixie"
  shift
  (($#)) || set -- unit
  require_root "the mounts of a root of Debian 13"
  deps_install build cluster
  root=$(trixie_root "${kBuildPackages[@]}" "${kTestsPackages[@]}" ca-certificates)
  in_trixie "$root" ./dev test "$@"
}

run_bench() {
  local bench=$top/tests/bench/run
  [[ -x $bench ]] || die "there are no benchmarks in this tree (tests/bench/run)"
  deps_install build tests cluster
  exec "$bench" "$@"
}

run_soak() {
  require_root "the API server's network namespace"
  deps_install build tests cluster
  build_programs
  exec "$kPython" "$top/tests/soak/soak.py" "$@"
}

# run_release [DIRECTORY]: makes it, then tests what was made.
run_release() {
  local into=${1:-$top/build-release} python
  require_root "building the images"
  deps_install build tests cluster release
  "$top/release/make" "$into"
  python=$(venv_python release)
  TIDEMARK_RELEASE=$into "$python" -m pytest "$top/tests/release" -v
}
