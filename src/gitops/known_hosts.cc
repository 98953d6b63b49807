#include "gitops/known_hosts.h"

#include <libssh2.h>

#include <charconv>
#include <cstddef>
#include <memory>

#include "base/text.h"

namespace tidemark::gitops {
namespace {

constexpr int kSshPort = 22;

struct FreeSession {
  void operator()(LIBSSH2_SESSION* session) const { (void)libssh2_session_free(session); }
};
struct FreeHosts {
  void operator()(LIBSSH2_KNOWNHOSTS* hosts) const { libssh2_knownhost_free(hosts); }
};

int port_of(std::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  url = url.substr(0, url.find('/'));
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || url.ends_with(']')) return kSshPort;
  int port = kSshPort;
  (void)std::from_chars(url.data() + colon + 1, url.data() + url.size(), port);
  return port;
}

}  // namespace

Status check_known_host(const std::string& known_hosts, std::string_view url, const char* host,
                        std::string_view key) {
  // The library keeps known hosts with a session; this one never connects.
  const std::unique_ptr<LIBSSH2_SESSION, FreeSession> session(libssh2_session_init());
  if (session == nullptr) return fail(ErrorKind::kInternal, "SSH cannot be used");
  const std::unique_ptr<LIBSSH2_KNOWNHOSTS, FreeHosts> hosts(libssh2_knownhost_init(session.get()));
  if (hosts == nullptr) return fail(ErrorKind::kInternal, "SSH cannot be used");
  std::string_view rest = known_hosts;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    // A copy: libssh2 looks one byte behind the line's end.
    const std::string line(trimmed(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.starts_with('#')) continue;
    // @revoked and @cert-authority say nothing that this check could use.
    if (line.starts_with('@')) continue;
    if (libssh2_knownhost_readline(hosts.get(), line.data(), line.size(),
                                   LIBSSH2_KNOWNHOST_FILE_OPENSSH) != 0) {
      return fail(ErrorKind::kInvalid, "known_hosts: a line that is none of its kind");
    }
  }
  const int outcome = libssh2_knownhost_checkp(
      hosts.get(), host, port_of(url), key.data(), key.size(),
      LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW, nullptr);
  if (outcome == LIBSSH2_KNOWNHOST_CHECK_MATCH) return {};
  const std::string whose = brief_quote(host);
  if (outcome == LIBSSH2_KNOWNHOST_CHECK_MISMATCH) {
    return fail(ErrorKind::kTls, "the server shows another key than known_hosts has for " + whose);
  }
  return fail(ErrorKind::kTls, "known_hosts has no such key for " + whose +
                                   " (it should have all that ssh-keyscan prints)");
}

}  // namespace tidemark::gitops
