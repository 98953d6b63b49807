# Roots of Debian 13 on a machine that has another release.
# shellcheck shell=bash disable=SC2154

# machine_apt DIRECTORY: what apt needs on this machine, for a root of another release: the archive's place, proxies and
# certificates. It is read from the machine each time and never kept in the tree.
machine_apt() {
  local root=$1 archive security
  # shellcheck disable=SC2016  # apt's own variable
  archive=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' |
    grep -v -- -security | head -n 1) || archive=
  # shellcheck disable=SC2016
  security=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' |
    grep -- -security | head -n 1) || security=
  mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d"
  cat >"$root/etc/apt/sources.list.d/debian.sources" <<SOURCES
Types: deb
URIs: ${archive:-http://deb.debian.org/debian}
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: ${security:-http://deb.debian.org/debian-security}
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  apt-config dump --format '%F "%v";%n' | grep -E '^Acquire::(http|https|ftp|Check|Retries|Queue)' \
    >"$root/etc/apt/apt.conf.d/50machine" || true
  if grep -q '^URIs: https' "$root/etc/apt/sources.list.d/debian.sources"; then
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/apt/machine-certificates.pem"
    printf 'Acquire::https::CaInfo "/etc/apt/machine-certificates.pem";\n' >>"$root/etc/apt/apt.conf.d/50machine"
  fi
}

# trixie_make APT TARGET PACKAGE...: a minimal root with these packages as TARGET, a folder or a .tar; APT is of machine_apt.
trixie_make() {
  local apt=$1 target=$2
  shift 2
  mmdebstrap --variant=minbase --quiet --include="$*" \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --aptopt="$apt/etc/apt/apt.conf.d/50machine" trixie "$target" \
    "$apt/etc/apt/sources.list.d/debian.sources"
}

# trixie_root PACKAGE...: makes a root with these packages unless it is there, prints its path. They are those of the day it was made.
trixie_root() {
  local place work
  place=$(cache_dir)/trixie/$(printf '%s\n' "$@" | sha256sum | cut -c 1-16)
  if [[ ! -e $place.complete ]]; then
    work=$(mktemp -d)
    mkdir -p "$(cache_dir)/logs" "$(dirname "$place")"
    rm -rf --one-file-system "$place" # mounts of a making that was killed are not followed
    machine_apt "$work"
    long_step "making a root of Debian 13" "$(cache_dir)/logs/trixie.log" trixie_make "$work" "$place" "$@" || return 1
    rm -rf "$work"
    touch "$place.complete"
  fi
  printf '%s\n' "$place"
}

# in_trixie ROOT COMMAND...: runs it in the tree as on a machine of that release. What is mounted for it (the tree, in which build is
# the folder build-trixie, and the compiler cache) is mounted in a namespace that ends with it.
in_trixie() {
  local root=$1 ccache
  shift
  ccache=$(ccache --get-config cache_dir)
  mkdir -p "$ccache" "$top"/build{,-trixie} "$root$ccache" "$root$top"
  # shellcheck disable=SC2016  # the inner shell's
  unshare --mount --fork bash -euc '
    root=$1 tree=$2 ccache=$3
    shift 3
    for folder in proc dev sys; do mount --rbind "/$folder" "$root/$folder"; done
    mount --bind "$tree" "$root$tree"
    mount --bind "$tree/build-trixie" "$root$tree/build"
    mount --bind "$ccache" "$root$ccache"
    exec chroot "$root" env -i --chdir="$tree" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
      CCACHE_DIR="$ccache" CCACHE_COMPILERCHECK=content "$@"' in_trixie "$root" "$top" "$ccache" "$@"
}
