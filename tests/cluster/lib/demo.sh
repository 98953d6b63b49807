# `./dev demo`: Tidemark installed on a real cluster, a Deployment stamped, and rolled when its tag moves.
# shellcheck shell=bash disable=SC2154

readonly kDemoNamespace=tidemark-demo
readonly kSystemNamespace=tidemark-system

demo() {
  local context='' image='' app='' plain_http='' kubectl begin
  local kube=() # kubectl with its cluster
  demo_options "$@"
  begin=$(now_ms)
  if [[ -z $context ]]; then
    demo_own_cluster
  else
    demo_given_cluster
  fi
  demo_install
  demo_stamp
  if [[ -n $app ]]; then demo_roll; fi
  demo_look_around
  say "the demo took $(seconds_since "$begin") s"
}

demo_options() {
  while (($#)); do
    case $1 in
      --plain-http)
        plain_http=yes
        shift
        continue
        ;;
      --context) context=${2:-} ;;
      --image) image=${2:-} ;;
      --app) app=${2:-} ;;
      *) usage_error "demo: unknown argument '$1'" ;;
    esac
    [[ -n ${2:-} ]] || usage_error "$1 needs a value"
    shift 2
  done
  [[ -n $context || (-z $image && -z $app) ]] || usage_error "--image and --app go with --context"
  [[ -z $context || -n $image ]] || usage_error "--context needs --image, a Tidemark image that the cluster can pull"
  [[ -z $plain_http || -n $app ]] || usage_error "--plain-http goes with --app: it is said of that repository's registry"
}

step() { say "" && say "[$1/5] $2"; }

demo_own_cluster() {
  step 1 "packages, Tidemark, and a Kubernetes of one node"
  deps_install build cluster
  build_programs
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || die "the demo starts a cluster and needs root; or use --context with one you have"
    say "the one-node cluster needs root: going on with sudo"
    TIDEMARK_CACHE=$(cache_dir) exec sudo --preserve-env=TIDEMARK_CACHE,TIDEMARK_STATE,TIDEMARK_NET,TIDEMARK_CLUSTER \
      "$top/dev" demo
  fi
  "$here/cluster" up
  eval "$("$here/cluster" env)"
  kubectl=$("$here/binaries" kubectl)
  kube=("$kubectl" --kubeconfig "$KUBECONFIG")

  step 2 "Tidemark's image, and its installation"
  "$here/image" build
  image=$("$here/image" push)
  app=$TIDEMARK_REGISTRY/app plain_http=yes
}

demo_given_cluster() {
  step 1 "the cluster of context $context"
  kubectl=$(command -v kubectl) || kubectl=$("$here/binaries" kubectl)
  kube=("$kubectl" --context "$context")
  "${kube[@]}" version || die "the cluster of context '$context' does not answer"
  step 2 "installation of $image"
}

demo_install() {
  local arguments=()
  if [[ -n $context ]]; then arguments+=(--context "$context"); fi
  if [[ -n $plain_http ]]; then arguments+=(--plain-http "$(demo_registry)"); fi
  "$here/install" "$image" ${arguments[@]+"${arguments[@]}"}
}

# demo_registry: the host of the repository that the demo pushes to.
demo_registry() { printf '%s\n' "${app%%/*}"; }

demo_get() { "${kube[@]}" --namespace "$kDemoNamespace" get "$@"; }
demo_stamp_of() { demo_get deployment app -o 'jsonpath={.spec.template.metadata.annotations.digest\.tidemark\.dev/app}'; }

demo_stamp() {
  local image_name digest=''
  step 3 "a Deployment, and the stamp that admission puts on its template"
  # What an earlier demo left, its pods included: one of them could be taken for the new one. The namespace stays: deleting
  # it takes ten seconds.
  "${kube[@]}" create namespace "$kDemoNamespace" --dry-run=client -o yaml | "${kube[@]}" apply -f - >&2
  "${kube[@]}" --namespace "$kDemoNamespace" delete deployment app --ignore-not-found --cascade=foreground >&2
  if [[ -n $app ]]; then
    image_name=$app:latest
    digest=$("$here/image" app "$image_name" 1) || die "pushing $image_name failed"
    say "  pushed $image_name, version 1: $digest"
  else
    image_name=docker.io/library/nginx:latest
  fi
  cat <<YAML | "${kube[@]}" apply --namespace "$kDemoNamespace" -f - >&2
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  annotations: {tidemark.dev/sweep: roll}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - {name: app, image: "$image_name"}
YAML
  local stamp
  stamp=$(demo_stamp_of)
  [[ -n $stamp ]] || die "the template carries no stamp; see: ${kube[*]} -n $kSystemNamespace logs deployment/tidemark-webhook"
  say "  image: $image_name"
  say "  digest.tidemark.dev/app: $stamp"
  [[ -z $digest || $stamp == *"@$digest" ]] || die "the stamp is not the digest that was pushed"
  "${kube[@]}" --namespace "$kDemoNamespace" rollout status deployment/app --timeout 120s >&2
}

# demo_runs DIGEST: a pod with it is ready (the old one may still be ending).
demo_runs() {
  local ids
  ids=$(demo_get pods -l app=app --field-selector status.phase=Running \
    -o 'jsonpath={range .items[*].status.containerStatuses[?(@.ready==true)]}{.imageID}{"\n"}{end}')
  [[ $ids == *"@$1"* ]]
}

demo_roll() {
  local digest pushed
  step 4 "a new image under the same tag"
  digest=$("$here/image" app "$app:latest" 2) || die "pushing $app:latest failed"
  pushed=$(now_ms)
  say "  pushed $app:latest, version 2: $digest"
  wait_until 120 demo_runs "$digest" || {
    "${kube[@]}" logs --namespace "$kSystemNamespace" deployment/tidemark-sweeper --tail 20 >&2 || true
    die "no pod of $digest runs after 120 s"
  }
  roll_seconds=$(seconds_since "$pushed")
  "${kube[@]}" --namespace "$kDemoNamespace" rollout status deployment/app --timeout 60s >&2
  say "  the pod's imageID: $(demo_get pods -l app=app --sort-by .metadata.creationTimestamp -o 'jsonpath={.items[-1:].status.containerStatuses[0].imageID}')"
  "${kube[@]}" --namespace "$kDemoNamespace" rollout history deployment/app | sed 's/^/  /' >&2
  say "  tidemark.dev/history:"
  demo_get deployment app -o 'jsonpath={.metadata.annotations.tidemark\.dev/history}' | jq_or_cat | sed 's/^/    /' >&2
}

jq_or_cat() { /usr/bin/python3 -m json.tool 2>/dev/null || cat; }

demo_look_around() {
  step 5 "done"
  if [[ -n $app ]]; then
    say "  from push to the new pod running: $roll_seconds s"
  else
    say "  (--app REPOSITORY would show a roll too)"
  fi
  say "  look around:"
  if [[ -z $context ]]; then say "    eval \"\$(./dev cluster env)\""; fi
  local k="kubectl"
  if [[ -n $context ]]; then k="kubectl --context $context"; fi
  say "    $k -n $kDemoNamespace get deployment app -o yaml"
  say "    $k -n $kDemoNamespace rollout history deployment/app"
  say "    $k -n $kSystemNamespace logs deployment/tidemark-sweeper"
  if [[ -z $context ]]; then
    say "  and away with it: ./dev cluster down"
  else
    say "  and away with it: $k delete namespace $kDemoNamespace; $k delete -f deploy/install.yaml"
  fi
}
