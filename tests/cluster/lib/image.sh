# Images from the Dockerfile, without a container engine. A caller sources trixie.sh before.
# shellcheck shell=bash disable=SC2154

readonly kBase=docker.io/library/debian:trixie-slim

# base_make: Debian 13's minimal root, imported under the name that the Dockerfile begins with.
base_make() {
  local work container
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # $work as it is now
  trap "rm -rf '$work'" RETURN
  machine_apt "$work/apt"
  trixie_make "$work/apt" "$work/base.tar" ca-certificates
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$work/base.tar" /
  # In place of what mmdebstrap copied there under a name of its own.
  buildah run --isolation chroot "$container" rm -f /etc/apt/sources.list.d/0000debian.sources
  buildah add --quiet "$container" "$work/apt" /
  buildah commit --quiet "$container" "$kBase"
  buildah rm "$container"
}

# image_epoch: the time of the commit, which every file and the image itself get. (All of a `meson dist` have it.)
image_epoch() { git -C "$top" log -1 --format=%ct 2>/dev/null || stat --format %Y "$top/meson.build"; }

# image_commit: the last one that changed anything that the image is built from, so that others keep its cached layers.
image_commit() {
  local inputs
  mapfile -t inputs < <(sed -n "s,^!,$top/,p" "$top/.dockerignore")
  if ! git -C "$top" log -1 --format=%h --abbrev=12 -- "${inputs[@]}" 2>/dev/null; then
    cat "$top/COMMIT" 2>/dev/null || echo unknown
  elif [[ -n $(git -C "$top" status --porcelain -- "${inputs[@]}") ]]; then
    echo -dirty
  fi | tr -d '\n'
}

# bud ARCHITECTURE [OPTION...]: the Dockerfile for amd64 or arm64. What is built is named by an option.
bud() {
  local architecture=$1
  shift
  buildah bud --isolation chroot --pull-never --network host --layers --timestamp "$(image_epoch)" \
    --platform "linux/$architecture" --build-arg "BUILDPLATFORM=linux/$(dpkg --print-architecture)" \
    "$@" --file "$top/Dockerfile" "$top"
}

# base_ready: makes the base image unless it is there.
base_ready() {
  buildah inspect --type image "$kBase" >/dev/null 2>&1 ||
    long_step "making the base image (Debian 13)" "$(cache_dir)/logs/image-base.log" base_make
}
