#include "kube/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "base/shutdown.h"
#include "net/connection.h"

namespace tidemark::kube {
namespace {

using nlohmann::json;

// A client certificate, its chain and key are about 10 KiB, a token at most 16 KiB (our head
// bound).
constexpr std::size_t kMaxOutputBytes = std::size_t{256} * 1024;
// How soon a stop or the end of the process is noticed; plugins take 50 ms to seconds.
constexpr std::chrono::milliseconds kPoll{20};

std::string errno_text(int code) { return std::system_category().message(code); }

// The process until it was waited for. Ends the whole group if that never happened.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  // The wait status once the process has ended.
  std::optional<int> try_wait() {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

// posix_spawn's two option objects, initialised and destroyed together.
class SpawnOptions {
 public:
  SpawnOptions() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  SpawnOptions(const SpawnOptions&) = delete;
  SpawnOptions& operator=(const SpawnOptions&) = delete;
  ~SpawnOptions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  int configure(int output_fd) {
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    // ShutdownSignal blocks and ignores these in this process; the plugin must not inherit that.
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM}) sigaddset(&defaults, signal);
    const std::array results{
        posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
        posix_spawn_file_actions_adddup2(&actions_, output_fd, STDOUT_FILENO),
        posix_spawnattr_setpgroup(&attributes_, 0),
        posix_spawnattr_setsigmask(&attributes_, &none),
        posix_spawnattr_setsigdefault(&attributes_, &defaults),
        posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)};
    for (const int result : results) {
      if (result != 0) return result;
    }
    return 0;
  }

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// KUBERNETES_EXEC_INFO: what the plugin is told.
std::string exec_info(const ClusterConfig& config) {
  json spec{{"interactive", false}};
  if (config.exec->provide_cluster_info) {
    json cluster{{"server", config.server.str()}};
    if (!config.tls_server_name.empty()) cluster["tls-server-name"] = config.tls_server_name;
    if (config.insecure_skip_verify) cluster["insecure-skip-tls-verify"] = true;
    if (!config.ca_pem.empty()) {
      cluster["certificate-authority-data"] = base64_encode(config.ca_pem);
    }
    if (!config.proxy_url.empty()) cluster["proxy-url"] = config.proxy_url;
    spec["cluster"] = std::move(cluster);
  }
  return json{{"apiVersion", config.exec->api_version},
              {"kind", "ExecCredential"},
              {"spec", std::move(spec)}}
      .dump();
}

std::vector<std::string> environment_of(const ClusterConfig& config) {
  std::vector<std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string name(text.substr(0, text.find('=')));
    if (!config.exec->env.contains(name) && name != "KUBERNETES_EXEC_INFO") {
      environment.emplace_back(text);
    }
  }
  for (const auto& [name, value] : config.exec->env) environment.push_back(name + "=" + value);
  environment.push_back("KUBERNETES_EXEC_INFO=" + exec_info(config));
  return environment;
}

// Everything the plugin writes until it closes its output.
Result<std::string> read_all(int fd, Deadline deadline, const std::stop_token& stop) {
  std::string output;
  std::array<char, 4096> piece{};
  while (true) {
    if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
    if (deadline.expired()) return fail(ErrorKind::kTimeout, "no answer before the deadline");
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(kPoll.count()));
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    if (ready < 0) return fail(ErrorKind::kInternal, "poll: " + errno_text(errno));
    const ssize_t count = ::read(fd, piece.data(), piece.size());
    if (count == 0) return output;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(ErrorKind::kInternal, "read: " + errno_text(errno));
    if (output.size() + static_cast<std::size_t>(count) > kMaxOutputBytes) {
      return fail(ErrorKind::kTooLarge, "its output is too large");
    }
    output.append(piece.data(), static_cast<std::size_t>(count));
  }
}

Result<std::string> run(const ClusterConfig& config, Deadline deadline,
                        const std::stop_token& stop) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(ErrorKind::kInternal, "pipe: " + errno_text(errno));
  }
  const net::Fd read_end(ends[0]);
  net::Fd write_end(ends[1]);

  SpawnOptions options;
  if (const int error = options.configure(write_end.get()); error != 0) {
    return fail(ErrorKind::kInternal, "posix_spawn: " + errno_text(error));
  }
  std::vector<std::string> arguments{config.exec->command};
  arguments.insert(arguments.end(), config.exec->args.begin(), config.exec->args.end());
  std::vector<std::string> environment = environment_of(config);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, config.exec->command.c_str(), options.actions(), options.attributes(),
                     pointers(arguments).data(), pointers(environment).data());
  if (error != 0) {
    return fail(error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kUnauthorized,
                "cannot be started: " + errno_text(error));
  }
  Child child(pid);
  write_end = net::Fd();  // so that the end of output can be seen
  auto output = read_all(read_end.get(), deadline, stop);
  if (!output) return output;
  while (true) {
    if (const auto status = child.try_wait()) {
      if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return output;
      return fail(ErrorKind::kUnauthorized,
                  WIFEXITED(*status) ? "exited with " + std::to_string(WEXITSTATUS(*status))
                                     : "was ended by signal " + std::to_string(WTERMSIG(*status)));
    }
    if (deadline.expired()) return fail(ErrorKind::kTimeout, "did not end before the deadline");
    if (!sleep_for(kPoll, stop)) return fail(ErrorKind::kCanceled, "stopped");
  }
}

Result<ExecCredential> parse(const std::string& output, const std::string& api_version) {
  const auto bad = [](std::string_view what) {
    return fail(ErrorKind::kUnauthorized, "its ExecCredential " + std::string(what));
  };
  const json document = json::parse(output, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return bad("is no JSON object");
  try {
    if (document.value("kind", "") != "ExecCredential") return bad("has another kind");
    if (document.value("apiVersion", "") != api_version) {
      return bad("has another apiVersion than " + api_version);
    }
    const json status = document.value("status", json::object());
    ExecCredential credential;
    credential.token = status.value("token", "");
    const std::string certificate = status.value("clientCertificateData", "");
    const std::string key = status.value("clientKeyData", "");
    if (certificate.empty() != key.empty()) return bad("has a certificate without key, or reverse");
    if (!certificate.empty()) {
      credential.client_pair = net::KeyPair{.certificate_pem = certificate, .key_pem = key};
    }
    if (credential.token.empty() && certificate.empty()) return bad("holds no credential");
    if (const std::string expires = status.value("expirationTimestamp", ""); !expires.empty()) {
      const auto time = parse_rfc3339(expires);
      if (!time) return bad("has a bad expirationTimestamp");
      credential.expires = *time;
    }
    return credential;
  } catch (const json::exception&) {  // a field of another type
    return bad("is malformed");
  }
}

}  // namespace

Result<ExecCredential> run_exec_plugin(const ClusterConfig& config, Deadline deadline,
                                       const std::stop_token& stop) {
  const std::string context = "credential plugin " + config.exec->command;
  const auto output = run(config, deadline, stop);
  if (!output) return fail(within(context, output.error()));
  auto credential = parse(*output, config.exec->api_version);
  if (!credential) return fail(within(context, credential.error()));
  return credential;
}

}  // namespace tidemark::kube
