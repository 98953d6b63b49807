# Certificates and kubeconfigs of an instance: one CA, a client certificate for each component.
# shellcheck shell=bash disable=SC2154

kubeconfig_path() { printf '%s/kubeconfig\n' "$state"; }

# issue NAME SUBJECT [EXTENSION]: pki/NAME.crt and NAME.key, signed by the CA.
issue() {
  local pki="$state/pki"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" \
    -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -days 365 -out "$pki/$1.crt" \
    -extfile <(printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n' "${3:-clientAuth}") 2>/dev/null
  rm "$pki/$1.csr"
}

# write_kubeconfig FILE CERTIFICATE: with everything inlined, so that the file can be copied.
write_kubeconfig() {
  local pki="$state/pki"
  install -m 0600 /dev/null "$1"
  cat >"$1" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: tidemark-$name
  cluster:
    server: https://$(address):6443
    certificate-authority-data: $(base64 -w0 <"$pki/ca.crt")
users:
- name: $2
  user:
    client-certificate-data: $(base64 -w0 <"$pki/$2.crt")
    client-key-data: $(base64 -w0 <"$pki/$2.key")
contexts:
- name: tidemark-$name
  context: {cluster: tidemark-$name, user: $2}
current-context: tidemark-$name
YAML
}

pki_make() {
  local pki="$state/pki"
  [[ ! -e $pki/complete ]] || return 0
  mkdir -p "$pki"
  chmod 0700 "$pki"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=tidemark-$name" \
    -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  issue apiserver /CN=kube-apiserver "serverAuth
subjectAltName=IP:$(address),IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  issue apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  issue admin /O=system:masters/CN=admin
  issue kube-controller-manager /CN=system:kube-controller-manager
  issue kube-scheduler /CN=system:kube-scheduler
  issue kube-proxy /CN=system:kube-proxy
  issue kubelet "/O=system:nodes/CN=system:node:$kNodeName"
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/service-accounts.key" 2>/dev/null
  openssl ec -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub" 2>/dev/null

  local user
  for user in kube-controller-manager kube-scheduler kube-proxy kubelet; do
    write_kubeconfig "$pki/$user.kubeconfig" "$user"
  done
  write_kubeconfig "$(kubeconfig_path)" admin
  # Whoever ran sudo works with it.
  if [[ -n ${SUDO_UID:-} ]]; then chown "$SUDO_UID" "$(kubeconfig_path)"; fi
  : >"$pki/complete"
}
