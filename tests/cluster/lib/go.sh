# Finds a Go that can build the modules under tools/, or brings one from the package registries.
# shellcheck shell=bash

readonly kGoMinimumMinor=24
# What is fetched, as a Go module, where the machine has no Go or one too old to fetch a newer one by itself.
readonly kGoFetched=1.24.10

# go_minor GO: 24 for a Go 1.24.x, 0 for what does not run.
go_minor() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || version=go1.0
  [[ $version =~ ^go1\.([0-9]+) ]] && printf '%s\n' "${BASH_REMATCH[1]}" || printf '0\n'
}

# go_from_module GO: fetches the toolchain module with the old GO and prints the path of the new one. A module's files
# carry no mode bits, so its programs are copied out and made executable.
go_from_module() {
  local old=$1 root dir
  root="$(cache_dir)/go/go$kGoFetched"
  if [[ ! -x $root/bin/go ]]; then
    dir=$(cd / && "$old" mod download -json "golang.org/toolchain@v0.0.1-go$kGoFetched.linux-$(dpkg --print-architecture)" |
      sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
    [[ -n $dir ]] || die "Go 1.$kGoMinimumMinor or newer is needed, and the Go module proxy gave no toolchain"
    rm -rf "$root.new" && mkdir -p "$root.new"
    cp -r --no-preserve=mode "$dir/." "$root.new"
    chmod +x "$root.new"/bin/* "$root.new"/pkg/tool/*/*
    mv "$root.new" "$root"
  fi
  printf '%s\n' "$root/bin/go"
}

# find_go: prints the path of a Go that builds tools/.
find_go() {
  local candidate old=
  for candidate in "${TIDEMARK_GO:-}" "$(cache_dir)/go/go$kGoFetched/bin/go" "$(command -v go || true)" \
    /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    [[ -x $candidate ]] || continue
    if (($(go_minor "$candidate") >= kGoMinimumMinor)); then
      printf '%s\n' "$candidate"
      return
    fi
    old=$candidate
  done
  if [[ -z $old ]]; then
    require_root "installing Go (apt-get install golang-go)"
    say "  no Go found: installing golang-go to fetch a newer one with"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends golang-go; } \
      >&2 </dev/null ||
      die "Go 1.$kGoMinimumMinor or newer is needed and could not be installed; set TIDEMARK_GO to its path"
    old=/usr/bin/go
  fi
  go_from_module "$old"
}
