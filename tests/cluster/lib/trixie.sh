# Roots of Debian 13 on a machine that has another release.
# shellcheck shell=bash

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
