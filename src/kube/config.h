// Where the API server is and who we are to it.
//
// Purpose: in-cluster and kubeconfig authentication as client-go does it: client certificate,
// bearer token, token file (re-read, for bound service account tokens rotate), exec plugin.
// Thread-safety: plain values. Errors: kInvalid naming file and key; kNotFound for a missing file.
// Source: client-go tools/clientcmd/api/v1, KEP-541 (exec credential plugins), KEP-1205 (bound
// tokens).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "net/tls.h"

namespace tidemark::kube {

struct ExecPlugin {
  std::string api_version;  // client.authentication.k8s.io/v1 or /v1beta1
  std::string command;
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  bool provide_cluster_info = false;
};

struct ClusterConfig {
  net::Url server;
  std::string tls_server_name;  // "" for the URL's host
  std::string ca_pem;           // the only roots trusted for the API server
  bool insecure_skip_verify = false;
  std::string proxy_url;  // of the kubeconfig's cluster; "": HTTPS_PROXY and NO_PROXY decide
  std::optional<net::KeyPair> client_pair;
  std::string token;
  std::filesystem::path token_file;  // wins over `token` once it could be read
  std::optional<ExecPlugin> exec;
  std::string default_namespace = "default";
};

// What a pod is given; the default is the process' own environment.
struct PodEnvironment {
  std::string host;  // KUBERNETES_SERVICE_HOST
  std::string port;  // KUBERNETES_SERVICE_PORT
  std::filesystem::path account_dir = "/var/run/secrets/kubernetes.io/serviceaccount";

  static PodEnvironment from_process();
};

// kNotFound where the process does not run in a pod, or has no service account token mounted.
Result<ClusterConfig> in_cluster_config(const PodEnvironment& pod = PodEnvironment::from_process());

struct KubeconfigRequest {
  std::filesystem::path path;  // "" for $KUBECONFIG (a list, merged), else ~/.kube/config
  std::string context;         // "" for current-context
};
// Relative file names in a kubeconfig, and an exec command with a slash, are relative to that
// file. What Kubernetes has removed (username/password, auth-provider) and what would make us act
// as somebody else than the file says (impersonation, `as`) is kInvalid, never ignored.
Result<ClusterConfig> kubeconfig(const KubeconfigRequest& request);

// --kubeconfig or $KUBECONFIG if given, else in-cluster, else ~/.kube/config.
Result<ClusterConfig> discover_config(const KubeconfigRequest& request);

}  // namespace tidemark::kube
