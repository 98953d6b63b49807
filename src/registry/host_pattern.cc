#include "registry/host_pattern.h"

#include <cstddef>

#include "base/text.h"

namespace tidemark::registry {
namespace {

struct HostPort {
  std::string_view host;
  std::string_view port;
};

HostPort split(std::string_view text) {
  const std::size_t after_address = text.starts_with('[') ? text.find(']') : 0;
  const std::size_t colon =
      text.find(':', after_address == std::string_view::npos ? 0 : after_address);
  if (colon == std::string_view::npos) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

bool host_matches(std::string_view pattern, std::string_view host) {
  if (pattern == host) return true;
  const HostPort glob = split(pattern);
  const HostPort target = split(host);
  if (glob.port != target.port) return false;

  // Greedy matching with one point to return to: linear in practice and quadratic at worst, which a
  // host's length bounds. '*' and '?' never match a dot, so labels stay aligned.
  const std::string_view p = glob.host;
  const std::string_view h = target.host;
  std::size_t pi = 0;
  std::size_t hi = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_end = 0;
  while (hi < h.size()) {
    if (pi < p.size() && p[pi] == '*') {
      star = pi++;
      star_end = hi;
    } else if (pi < p.size() &&
               (p[pi] == '?' ? h[hi] != '.' : ascii_lower(p[pi]) == ascii_lower(h[hi]))) {
      ++pi;
      ++hi;
    } else if (star != std::string_view::npos && h[star_end] != '.') {
      pi = star + 1;
      hi = ++star_end;
    } else {
      return false;
    }
  }
  while (pi < p.size() && p[pi] == '*') ++pi;
  return pi == p.size();
}

}  // namespace tidemark::registry
