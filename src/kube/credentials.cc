#include "kube/credentials.h"

#include <algorithm>
#include <fstream>
#include <utility>

namespace tidemark::kube {
namespace {

// client-go's period; a bound token is replaced at 80 % of its life, which is 10 minutes or more.
constexpr std::chrono::seconds kTokenFileAge{60};
// A token is at most what fits in our request head.
constexpr std::size_t kMaxTokenBytes = std::size_t{16} * 1024;
// Cloud plugins ask a metadata service or a login server: seconds, rarely more.
constexpr std::chrono::seconds kPluginTimeout{30};

std::string read_token(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxTokenBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  const auto end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

}  // namespace

Credentials::Credentials(const ClusterConfig& config, const Clock& clock, Logger log)
    : config_(config), clock_(clock), log_(std::move(log)) {
  credential_.token = config.token;
  credential_.client_pair = config.client_pair;
}

Result<Credential> Credentials::current(Deadline deadline, const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  if (!config_.token_file.empty()) read_token_file();
  if (config_.exec) {
    if (Status status = run_plugin(deadline, stop); !status) return fail(std::move(status.error()));
  }
  return credential_;
}

bool Credentials::rejected(std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (generation != credential_.generation) return true;  // somebody has replaced it meanwhile
  if (config_.exec) {
    plugin_due_ = true;
    return true;
  }
  if (config_.token_file.empty()) return false;
  read_at_.reset();
  read_token_file();
  return generation != credential_.generation;
}

void Credentials::read_token_file() {
  const SteadyTime now = clock_.steady_now();
  if (read_at_ && now - *read_at_ < kTokenFileAge) return;
  read_at_ = now;
  std::string token = read_token(config_.token_file);
  if (token.empty()) {  // being replaced, or gone: the last good one may still work
    log_.warn("token file is empty or cannot be read", {{"file", config_.token_file.string()}});
    return;
  }
  if (token == credential_.token) return;
  credential_.token = std::move(token);
  ++credential_.generation;
}

Status Credentials::run_plugin(Deadline deadline, const std::stop_token& stop) {
  const bool expired = expires_ && clock_.wall_now() >= *expires_;
  if (!plugin_due_ && !expired) return {};
  auto given = run_exec_plugin(config_, deadline.at_most(kPluginTimeout), stop);
  if (!given) return fail(std::move(given.error()));
  plugin_due_ = false;
  expires_ = given->expires;
  credential_.token = std::move(given->token);
  if (given->client_pair) credential_.client_pair = std::move(given->client_pair);
  ++credential_.generation;
  return {};
}

}  // namespace tidemark::kube
