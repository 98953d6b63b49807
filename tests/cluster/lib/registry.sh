# The instance's registry, and small images made without a container engine.
# shellcheck shell=bash disable=SC2154

registry_address() { printf '%s:5000\n' "$(address)"; }
registry_ready() { curl -fsS -m 2 --noproxy '*' "http://$(registry_address)/v2/"; }

# registry_start: plain HTTP, no accounts, deleting allowed. $TIDEMARK_REGISTRY_NOTIFY: a URL that is told of every push.
registry_start() {
  mkdir -p "$state/registry"
  {
    cat <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $state/registry}
  delete: {enabled: true}
http: {addr: "$(registry_address)"}
YAML
    if [[ -n ${TIDEMARK_REGISTRY_NOTIFY:-} ]]; then
      cat <<YAML
notifications:
  endpoints:
  - {name: notify, url: "$TIDEMARK_REGISTRY_NOTIFY", timeout: 1s, threshold: 5, backoff: 1s}
YAML
    fi
  } >"$state/registry.yaml"
  start registry docker-registry serve "$state/registry.yaml"
  ready registry 30 registry_ready
}

# push_program REFERENCE PROGRAM [VERSION]: an image that holds one static program and its VERSION; same input, same digest.
push_program() {
  local reference=$1 program=$2 version=${3:-} crane layer file
  crane=$(binary crane)
  file=$(basename "$program")
  layer=$(mktemp --suffix=.tar)
  tar --create --file "$layer" --directory "$(dirname "$program")" --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --mode=0755 "$file"
  "$crane" append --insecure --oci-empty-base --new_layer "$layer" --new_tag "$reference" >/dev/null 2>&1 &&
    "$crane" mutate --insecure --set-platform linux/amd64 --entrypoint "/$file" --user 65532:65532 \
      --env "VERSION=$version" --tag "$reference" "$reference" 2>/dev/null
  local result=$?
  rm -f "$layer"
  return $result
}
