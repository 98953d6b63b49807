// Runs a credential plugin (kubeconfig `exec:`): one process, no shell, bounded in time and output.
//
// Thread-safety: free function; every call has a process of its own, in a process group of its own
// so that a deadline ends it with all its children. Errors: kNotFound (no such command),
// kUnauthorized (the plugin failed or gave no credential), kTimeout, kCanceled, kTooLarge.
// Source: KEP-541, client.authentication.k8s.io/v1 and v1beta1 ExecCredential.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "kube/config.h"

namespace tidemark::kube {

struct ExecCredential {
  std::string token;
  std::optional<net::KeyPair> client_pair;
  std::optional<WallTime> expires;
};

// The plugin's standard error is ours, so that "run `aws sso login`" reaches the person; its
// standard input is empty (interactive: false).
Result<ExecCredential> run_exec_plugin(const ClusterConfig& config, Deadline deadline,
                                       const std::stop_token& stop);

}  // namespace tidemark::kube
