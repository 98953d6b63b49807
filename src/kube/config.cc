#include "kube/config.h"

#include <yaml-cpp/yaml.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/base64.h"

namespace tidemark::kube {
namespace {

namespace fs = std::filesystem;

// A kubeconfig of a thousand clusters with inline certificates is about 5 MiB; certificates and
// tokens on their own are kilobytes.
constexpr std::size_t kMaxFileBytes = std::size_t{8} * 1024 * 1024;

std::string environment(const char* name) {
  // Read once at start, before other threads exist that could change the environment.
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string() : std::string(value);
}

Result<std::string> read_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    return fail(ErrorKind::kNotFound, path.string() + ": no such file");
  }
  if (fs::is_directory(path, ignored)) {
    return fail(ErrorKind::kInvalid, path.string() + ": is a directory");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return fail(ErrorKind::kInvalid, path.string() + ": cannot be read");
  std::string text;
  std::array<char, 16'384> piece{};
  while (file.read(piece.data(), piece.size()), file.gcount() > 0) {
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMaxFileBytes) {
      return fail(ErrorKind::kTooLarge, path.string() + ": too large");
    }
  }
  if (file.bad()) return fail(ErrorKind::kInvalid, path.string() + ": cannot be read");
  return text;
}

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// One named entry of a kubeconfig's clusters, users or contexts, and the file it came from.
struct Entry {
  YAML::Node body;
  fs::path file;
  std::string where;  // "~/.kube/config: users[admin]"
};

struct Merged {
  std::string current_context;
  std::map<std::string, Entry> clusters;
  std::map<std::string, Entry> users;
  std::map<std::string, Entry> contexts;
};

// The first file that names an entry wins, as in client-go.
void merge_entries(const YAML::Node& root, const char* list, const char* key, const fs::path& file,
                   std::map<std::string, Entry>& into) {
  const YAML::Node entries = root[list];
  if (!entries || entries.IsNull()) return;
  for (const YAML::Node& entry : entries) {
    const auto name = entry["name"].as<std::string>();
    YAML::Node body = entry[key];
    if (!body) body = YAML::Node(YAML::NodeType::Map);
    into.try_emplace(
        name,
        Entry{.body = body, .file = file, .where = file.string() + ": " + list + "[" + name + "]"});
  }
}

Status merge_file(const fs::path& file, const std::string& text, Merged& into) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root || root.IsNull()) return {};  // an empty file is an empty configuration
    if (!root.IsMap()) return fail(ErrorKind::kInvalid, file.string() + ": is no YAML map");
    if (into.current_context.empty() && root["current-context"]) {
      into.current_context = root["current-context"].as<std::string>("");
    }
    merge_entries(root, "clusters", "cluster", file, into.clusters);
    merge_entries(root, "users", "user", file, into.users);
    merge_entries(root, "contexts", "context", file, into.contexts);
    return {};
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::kInvalid, file.string() + ": " + error.what());
  }
}

std::string text_of(const Entry& entry, const char* key) {
  const YAML::Node node = entry.body[key];
  return node ? node.as<std::string>("") : std::string();
}

fs::path relative_to(const Entry& entry, const std::string& name) {
  const fs::path path(name);
  return path.is_absolute() ? path : entry.file.parent_path() / path;
}

std::unexpected<Error> bad(const Entry& entry, std::string_view key, std::string_view what) {
  return fail(ErrorKind::kInvalid, entry.where + "." + std::string(key) + ": " + std::string(what));
}

// `KEY-data` (base64) or the file that `KEY` names; "" where neither is set.
Result<std::string> data_or_file(const Entry& entry, const std::string& key) {
  const std::string data_key = key + "-data";
  if (const std::string data = text_of(entry, data_key.c_str()); !data.empty()) {
    auto decoded = base64_decode(data);
    if (!decoded) return bad(entry, data_key, decoded.error().message);
    return decoded;
  }
  const std::string file = text_of(entry, key.c_str());
  if (file.empty()) return std::string();
  auto content = read_file(relative_to(entry, file));
  if (!content) return bad(entry, key, content.error().message);
  return content;
}

Status load_cluster(const Entry& entry, ClusterConfig& config) {
  const std::string server = text_of(entry, "server");
  if (server.empty()) return bad(entry, "server", "is missing");
  auto url = net::Url::parse(server);
  if (!url) return bad(entry, "server", url.error().message);
  config.server = *std::move(url);
  config.tls_server_name = text_of(entry, "tls-server-name");
  config.insecure_skip_verify =
      entry.body["insecure-skip-tls-verify"] && entry.body["insecure-skip-tls-verify"].as<bool>();
  auto ca = data_or_file(entry, "certificate-authority");
  if (!ca) return fail(std::move(ca.error()));
  config.ca_pem = *std::move(ca);
  if (config.insecure_skip_verify && !config.ca_pem.empty()) {
    return bad(entry, "insecure-skip-tls-verify", "cannot be combined with certificate-authority");
  }
  config.proxy_url = text_of(entry, "proxy-url");
  return {};
}

Status load_exec(const Entry& entry, ClusterConfig& config) {
  const YAML::Node node = entry.body["exec"];
  if (!node || node.IsNull()) return {};
  ExecPlugin plugin;
  plugin.api_version = node["apiVersion"].as<std::string>("");
  if (plugin.api_version != "client.authentication.k8s.io/v1" &&
      plugin.api_version != "client.authentication.k8s.io/v1beta1") {
    return bad(entry, "exec.apiVersion", "must be client.authentication.k8s.io/v1 or /v1beta1");
  }
  plugin.command = node["command"].as<std::string>("");
  if (plugin.command.empty()) return bad(entry, "exec.command", "is missing");
  if (plugin.command.find('/') != std::string::npos) {
    plugin.command = relative_to(entry, plugin.command).string();
  }
  if (node["args"] && !node["args"].IsNull()) {
    plugin.args = node["args"].as<std::vector<std::string>>();
  }
  if (node["env"] && !node["env"].IsNull()) {
    for (const YAML::Node& variable : node["env"]) {
      plugin.env[variable["name"].as<std::string>()] = variable["value"].as<std::string>("");
    }
  }
  plugin.provide_cluster_info = node["provideClusterInfo"] && node["provideClusterInfo"].as<bool>();
  if (node["interactiveMode"] && node["interactiveMode"].as<std::string>("") == "Always") {
    return bad(entry, "exec.interactiveMode", "is Always, but nobody can answer the plugin here");
  }
  config.exec = std::move(plugin);
  return {};
}

Status load_user(const Entry& entry, ClusterConfig& config) {
  for (const char* key : {"username", "password"}) {
    if (entry.body[key]) return bad(entry, key, "Kubernetes has no basic authentication any more");
  }
  if (entry.body["auth-provider"]) {
    return bad(entry, "auth-provider", "was removed in Kubernetes 1.26: use an exec plugin");
  }
  for (const char* key : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (entry.body[key]) return bad(entry, key, "impersonation is not supported");
  }
  auto certificate = data_or_file(entry, "client-certificate");
  if (!certificate) return fail(std::move(certificate.error()));
  auto key = data_or_file(entry, "client-key");
  if (!key) return fail(std::move(key.error()));
  if (certificate->empty() != key->empty()) {
    return bad(entry, certificate->empty() ? "client-certificate" : "client-key", "is missing");
  }
  if (!certificate->empty()) {
    config.client_pair =
        net::KeyPair{.certificate_pem = *std::move(certificate), .key_pem = *std::move(key)};
  }
  config.token = text_of(entry, "token");
  if (const std::string file = text_of(entry, "tokenFile"); !file.empty()) {
    config.token_file = relative_to(entry, file);
  }
  return load_exec(entry, config);
}

Result<ClusterConfig> select_context(const Merged& merged, const std::string& wanted,
                                     const std::string& files) {
  const std::string name = wanted.empty() ? merged.current_context : wanted;
  if (name.empty()) return fail(ErrorKind::kInvalid, files + ": no current-context");
  const auto context = merged.contexts.find(name);
  if (context == merged.contexts.end()) {
    return fail(ErrorKind::kInvalid, files + ": no context named " + name);
  }
  const std::string cluster_name = text_of(context->second, "cluster");
  const auto cluster = merged.clusters.find(cluster_name);
  if (cluster == merged.clusters.end()) {
    return bad(context->second, "cluster", "no cluster named '" + cluster_name + "'");
  }
  ClusterConfig config;
  if (Status status = load_cluster(cluster->second, config); !status) {
    return fail(std::move(status.error()));
  }
  // A context without user is anonymous; one that names a missing user is a mistake.
  if (const std::string user_name = text_of(context->second, "user"); !user_name.empty()) {
    const auto user = merged.users.find(user_name);
    if (user == merged.users.end()) {
      return bad(context->second, "user", "no user named '" + user_name + "'");
    }
    if (Status status = load_user(user->second, config); !status) {
      return fail(std::move(status.error()));
    }
  }
  if (const std::string ns = text_of(context->second, "namespace"); !ns.empty()) {
    config.default_namespace = ns;
  }
  return config;
}

std::vector<fs::path> files_of(const KubeconfigRequest& request) {
  if (!request.path.empty()) return {request.path};
  std::vector<fs::path> files;
  std::istringstream list(environment("KUBECONFIG"));
  for (std::string file; std::getline(list, file, ':');) {
    if (!file.empty()) files.emplace_back(file);
  }
  if (files.empty()) files.push_back(fs::path(environment("HOME")) / ".kube" / "config");
  return files;
}

}  // namespace

PodEnvironment PodEnvironment::from_process() {
  PodEnvironment pod;
  pod.host = environment("KUBERNETES_SERVICE_HOST");
  pod.port = environment("KUBERNETES_SERVICE_PORT");
  return pod;
}

Result<ClusterConfig> in_cluster_config(const PodEnvironment& pod) {
  if (pod.host.empty() || pod.port.empty()) {
    return fail(ErrorKind::kNotFound,
                "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  const bool v6 = pod.host.find(':') != std::string::npos;
  auto server =
      net::Url::parse("https://" + (v6 ? "[" + pod.host + "]" : pod.host) + ":" + pod.port);
  if (!server) return fail(within("KUBERNETES_SERVICE_HOST/PORT", server.error()));
  ClusterConfig config;
  config.server = *std::move(server);
  config.token_file = pod.account_dir / "token";
  auto token = read_file(config.token_file);
  if (!token) return fail(std::move(token.error()));
  config.token = trimmed(*token);
  auto ca = read_file(pod.account_dir / "ca.crt");
  if (!ca) return fail(std::move(ca.error()));
  config.ca_pem = *std::move(ca);
  if (const auto ns = read_file(pod.account_dir / "namespace"); ns && !trimmed(*ns).empty()) {
    config.default_namespace = trimmed(*ns);
  }
  return config;
}

Result<ClusterConfig> kubeconfig(const KubeconfigRequest& request) {
  Merged merged;
  std::string names;
  bool found = false;
  for (const fs::path& file : files_of(request)) {
    names += (names.empty() ? "" : ":") + file.string();
    auto text = read_file(file);
    if (!text) {
      // A missing file of the list is skipped, as in client-go.
      if (text.error().kind == ErrorKind::kNotFound) continue;
      return fail(std::move(text.error()));
    }
    found = true;
    if (Status status = merge_file(file, *text, merged); !status) {
      return fail(std::move(status.error()));
    }
  }
  if (!found) return fail(ErrorKind::kNotFound, names + ": no such kubeconfig");
  try {
    return select_context(merged, request.context, names);
  } catch (const YAML::Exception& error) {  // a value of another type
    return fail(ErrorKind::kInvalid, names + ": " + error.what());
  }
}

Result<ClusterConfig> discover_config(const KubeconfigRequest& request) {
  if (!request.path.empty() || !request.context.empty() || !environment("KUBECONFIG").empty()) {
    return kubeconfig(request);
  }
  auto pod = in_cluster_config();
  if (pod || pod.error().kind != ErrorKind::kNotFound) return pod;
  auto home = kubeconfig(request);
  if (home || home.error().kind != ErrorKind::kNotFound) return home;
  return fail(ErrorKind::kNotFound,
              "no API server: " + pod.error().message + "; " + home.error().message);
}

}  // namespace tidemark::kube
