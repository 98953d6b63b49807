# The Debian packages that building, testing and the cluster need.
# shellcheck shell=bash disable=SC2154,SC2034  # the lists are named by group

# "a|b": one of them is enough; the first is installed. (Docker's containerd.io is a containerd and a runc.)
readonly kBuildPackages=(
  g++ meson ninja-build pkg-config ccache
  libssl-dev libcpp-httplib-dev libsimdjson-dev nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libspdlog-dev libfmt-dev libre2-dev
  libgit2-dev libssh2-1-dev libyaml-dev
  prometheus-cpp-dev libgtest-dev libgmock-dev)
readonly kTestsPackages=(tzdata python3 python3-venv python3-pytest python3-yaml python3-jsonschema shellcheck apache2-utils faketime
  libbenchmark-dev wrk zsh fish git nginx-light fcgiwrap openssh-server mandoc)
# The newest clang of Debian 12 (older ones lack std::expected in libstdc++), with its sanitizers and libFuzzer.
readonly kClang=clang++-19
readonly kClangPackages=(clang-19 libclang-rt-19-dev)
readonly kClusterPackages=(
  etcd-server docker-registry "containerd|containerd.io" "runc|containerd.io" containernetworking-plugins
  iproute2 nftables iptables conntrack util-linux procps curl openssl ca-certificates
  buildah mmdebstrap debian-archive-keyring)

# For programs of arm64, and what is asked of archives and JSON.
readonly kReleasePackages=(qemu-user binutils jq xz-utils)
readonly kBrowserPackages=(chromium fonts-dejavu-core)

# missing_packages GROUP...: what is to be installed, one a line. Asks dpkg once, and no network.
missing_packages() {
  local group wanted alternative have
  have=" $(dpkg-query -W -f '${db:Status-Status}/${Package} ' | tr ' ' '\n' | sed -n 's,^installed/,,p' | tr '\n' ' ')"
  for group in "$@"; do
    local -n packages="k${group^}Packages"
    for wanted in "${packages[@]}"; do
      for alternative in ${wanted//|/ }; do
        [[ $have != *" $alternative "* ]] || continue 2
      done
      printf '%s\n' "${wanted%%|*}"
    done
  done
}

# apt_install PACKAGE...: no daemon is started by it, and nothing is removed for it.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made=
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    made=$policy
  fi
  local result=0
  DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove "$@" || result=1
  if [[ -n $made ]]; then rm -f "$made"; fi
  return $result
}

deps_install() {
  local missing=()
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  say "missing packages: ${missing[*]}"
  command -v apt-get >/dev/null || die "this needs Debian 12 or 13 (apt-get)"
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || die "installing packages needs root: apt-get install ${missing[*]}"
    sudo "$top/dev" deps
    return
  fi
  mkdir -p "$(cache_dir)/logs"
  long_step "installing ${#missing[@]} packages" "$(cache_dir)/logs/apt.log" apt_install "${missing[@]}"
}
