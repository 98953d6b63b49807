# etcd, kube-apiserver and kube-controller-manager.
# shellcheck shell=bash disable=SC2154

apiserver_ready() {
  curl -fsS -m 2 --cacert "$state/pki/ca.crt" --cert "$state/pki/admin.crt" --key "$state/pki/admin.key" \
    "https://$(address):6443/readyz"
}

etcd_ready() { inside curl -fsS -m 2 http://127.0.0.1:2379/health; }
controller_manager_ready() { inside curl -fsSk -m 2 https://127.0.0.1:10257/healthz; }

start_etcd() {
  # Its data is thrown away by `down`: no need to wait for the disk.
  start etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync --logger zap --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster default=http://127.0.0.1:2380 --quota-backend-bytes $((2 << 30))
}

# $TIDEMARK_APISERVER_FLAGS: more of its flags, parted by spaces.
start_apiserver() {
  local pki="$state/pki" more
  read -r -a more <<<"${TIDEMARK_APISERVER_FLAGS:-}"
  # Aggregator routing makes the API server call a webhook's pods directly, over the bridge: it needs no kube-proxy.
  start kube-apiserver "$(binary kube-apiserver)" \
    --etcd-servers http://127.0.0.1:2379 \
    --bind-address 0.0.0.0 --secure-port 6443 --advertise-address "$(address)" \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --client-ca-file "$pki/ca.crt" \
    --kubelet-client-certificate "$pki/apiserver-kubelet.crt" --kubelet-client-key "$pki/apiserver-kubelet.key" \
    --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$pki/service-accounts.pub" \
    --service-account-signing-key-file "$pki/service-accounts.key" \
    --service-cluster-ip-range "$kServiceRange" --feature-gates ImageVolume=true \
    --authorization-mode Node,RBAC --enable-aggregator-routing=true --allow-privileged=true --profiling=false \
    "${more[@]}"
}

# $TIDEMARK_CONTROLLER_FLAGS: more of its flags, parted by spaces.
start_controller_manager() {
  local pki="$state/pki" more
  read -r -a more <<<"${TIDEMARK_CONTROLLER_FLAGS:-}"
  start kube-controller-manager "$(binary kube-controller-manager)" \
    --kubeconfig "$pki/kube-controller-manager.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false \
    --use-service-account-credentials --root-ca-file "$pki/ca.crt" \
    --service-account-private-key-file "$pki/service-accounts.key" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
    --service-cluster-ip-range "$kServiceRange" "${more[@]}"
}

control_plane_start() {
  start_etcd
  pki_make
  ready etcd 60 etcd_ready
  start_apiserver
  ready kube-apiserver 120 apiserver_ready
  start_controller_manager
  ready kube-controller-manager 60 controller_manager_ready
}
