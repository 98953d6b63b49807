# The one node: scheduler, containerd, kubelet, kube-proxy.
# shellcheck shell=bash disable=SC2154

# It answers before its CRI plugin does, which first recovers what pods there were, and a kubelet that comes too early ends:
# the plugin's last line since this start says that it serves.
containerd_ready() {
  inside ctr --address /run/containerd/containerd.sock version &&
    awk '/msg="starting containerd"/ { serves = 0 } /msg="Start streaming server"/ { serves = 1 } END { exit !serves }' \
      "$state/logs/containerd.log"
}
scheduler_ready() { inside curl -fsSk -m 2 https://127.0.0.1:10259/healthz; }
kube_proxy_ready() { inside curl -fsS -m 2 http://127.0.0.1:10256/livez; }
node_ready() {
  [[ $(kubectl_admin get node "$kNodeName" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}
kubectl_admin() { "$(binary kubectl)" --kubeconfig "$(kubeconfig_path)" "$@"; }

# node_files: the configuration of containerd, its network plugins, kubelet and kube-proxy, and the pods' resolv.conf.
node_files() {
  local node="$state/node"
  # Once only: kube-proxy ends when its file is written again.
  [[ ! -e $node/complete ]] || return 0
  mkdir -p "$node/cni" "$node/certs.d/$(registry_address)"
  # Where tests start a registry of their own they add a folder beside this one: containerd reads it at each pull.
  printf '[host."http://%s"]\ncapabilities = ["pull", "resolve"]\n' "$(registry_address)" \
    >"$node/certs.d/$(registry_address)/hosts.toml"
  # restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE cannot lower a score.
  cat >"$node/containerd.toml" <<TOML
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "$(registry_address)/pause:1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$(snapshotter)"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$node/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$node/certs.d"
TOML
  cat >"$node/cni/10-bridge.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$kNodePodRange"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  # Nothing in the cluster resolves names: a query is refused at once instead of timing out.
  printf 'nameserver %s\n' "$(address)" >"$node/resolv.conf"
  cat >"$node/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $state/pki/ca.crt}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /tidemark-$name
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
containerLogMaxSize: 5Mi
containerLogMaxFiles: 2
enforceNodeAllocatable: []
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
registryPullQPS: 0
serializeImagePulls: false
clusterDNS: ["$(address)"]
clusterDomain: cluster.local
resolvConf: $node/resolv.conf
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
YAML
  # The counts of connection tracking belong to the whole machine: left alone.
  cat >"$node/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $kPodRange
hostnameOverride: $kNodeName
clientConnection: {kubeconfig: $state/pki/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
  : >"$node/complete"
}

# snapshotter: overlayfs, unless the state directory lies on an overlay itself (a container), where it cannot.
snapshotter() {
  if [[ $(stat -f -c %T "$state") == overlayfs ]]; then printf 'native\n'; else printf 'overlayfs\n'; fi
}

node_start() {
  node_files
  start containerd containerd --config "$state/node/containerd.toml"
  start kube-scheduler "$(binary kube-scheduler)" --kubeconfig "$state/pki/kube-scheduler.kubeconfig" \
    --bind-address 127.0.0.1 --leader-elect=false
  running kubelet || push_program "$(registry_address)/pause:1" "$(binary pause)" >/dev/null ||
    die "the pause image could not be pushed to $(registry_address)"
  ready containerd 60 containerd_ready
  cgroups_make
  start kubelet "$(binary kubelet)" --config "$state/node/kubelet.yaml" --kubeconfig "$state/pki/kubelet.kubeconfig" \
    --hostname-override "$kNodeName" --node-ip "$(address)"
  start kube-proxy "$(binary kube-proxy)" --config "$state/node/kube-proxy.yaml"
  ready kube-scheduler 60 scheduler_ready
  ready kubelet 120 node_ready
  ready kube-proxy 60 kube_proxy_ready
}
