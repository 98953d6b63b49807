// Which proxy a request goes through. Source: golang.org/x/net/http/httpproxy (its documentation is
// the de-facto rule of the Kubernetes world); curl differs in ".example.com", which there matches
// example.com itself as well.
#include <algorithm>
#include <cstdlib>
#include <ranges>
#include <string_view>

#include "base/base64.h"
#include "base/text.h"
#include "net/cidr.h"
#include "net/client.h"
#include "net/socket_address.h"

namespace tidemark::net {
namespace {

// More entries than any configuration has; each is compared with each request's host.
constexpr std::size_t kMaxNoProxyEntries = 1024;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
    const int low = at + 2 < text.size() ? hex_digit(text[at + 2]) : -1;
    if (text[at] == '%' && high >= 0 && low >= 0) {
      result += static_cast<char>(high * 16 + low);
      at += 2;
    } else {
      result += text[at];
    }
  }
  return result;
}

// The value is never part of the message: it may hold a password.
Result<Proxy> parse_proxy(const std::string& variable, std::string value) {
  const auto invalid = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, variable + ": " + std::string(why));
  };
  if (value.find("://") == std::string::npos) value.insert(0, "http://");
  if (ascii_lower(value.substr(0, 8)) == "https://") {
    return invalid("https:// proxies are not supported, only http://");
  }
  std::string authorization;
  const std::size_t begin = value.find("://") + 3;
  const std::size_t end = std::min(value.find_first_of("/?#", begin), value.size());
  const std::size_t at = value.rfind('@', end);
  if (at != std::string::npos && at > begin && at < end) {
    std::string credentials = percent_decode(std::string_view(value).substr(begin, at - begin));
    if (credentials.find(':') == std::string::npos) credentials += ':';
    authorization = "Basic " + base64_encode(credentials);
    value.erase(begin, at + 1 - begin);
  }
  auto url = Url::parse(value);
  if (!url) return invalid("not a proxy address (http://host:port)");
  return Proxy{.url = std::move(*url), .authorization = std::move(authorization)};
}

struct Target {
  std::string host;  // lower case, without brackets and without a trailing dot
  std::uint16_t port;
  std::optional<SocketAddress> address;  // where the host is a literal
};

// "host:port", "[v6]:port", "host" or "v6" taken apart; port 0: any.
struct Entry {
  std::string host;
  std::uint16_t port = 0;
};

Entry split_port(const std::string& text) {
  if (!text.starts_with('[') && std::ranges::count(text, ':') > 1)
    return {.host = text};  // bare v6
  const std::size_t close = text.starts_with('[') ? text.find(']') : std::string::npos;
  const std::size_t colon = text.rfind(':');
  Entry entry{.host = text};
  if (colon != std::string::npos && (close == std::string::npos || colon > close)) {
    unsigned long port = 0;
    for (const char c : std::string_view(text).substr(colon + 1)) {
      port = c >= '0' && c <= '9' && port < 65536 ? port * 10 + static_cast<unsigned long>(c - '0')
                                                  : 65536;
    }
    if (port == 0 || port > 65535) return {};  // matches nothing
    entry = {.host = text.substr(0, colon), .port = static_cast<std::uint16_t>(port)};
  }
  if (close != std::string::npos) entry.host = entry.host.substr(1, close - 1);
  return entry;
}

bool entry_matches(const std::string& text, const Target& target) {
  if (text == "*") return true;
  if (text.find('/') != std::string::npos) {
    const auto cidr = Cidr::parse(text);
    return cidr && target.address && cidr->contains(target.address->bytes());
  }
  Entry entry = split_port(text);
  if (entry.host.empty() || (entry.port != 0 && entry.port != target.port)) return false;
  if (const auto address = SocketAddress::parse(entry.host)) {
    return target.address && address->bytes() == target.address->bytes();
  }
  if (entry.host.starts_with("*.")) entry.host.erase(0, 1);
  if (entry.host.ends_with('.')) entry.host.pop_back();
  if (entry.host.starts_with('.')) return target.host.ends_with(entry.host);
  return target.host == entry.host || target.host.ends_with('.' + entry.host);
}

bool trimmed_entry_matches(const std::string& text, const Target& target) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return false;
  const std::size_t end = text.find_last_not_of(" \t");
  return entry_matches(ascii_lower(std::string_view(text).substr(begin, end - begin + 1)), target);
}

}  // namespace

Result<ProxyOptions> ProxyOptions::from(const Variables& variables) {
  const auto either = [&](const std::string& upper) -> std::pair<std::string, std::string> {
    if (std::string value = variables(upper); !value.empty()) return {upper, std::move(value)};
    return {ascii_lower(upper), variables(ascii_lower(upper))};
  };
  ProxyOptions options;
  // A CGI server passes the client's "Proxy:" header on as HTTP_PROXY.
  const bool cgi = !variables("REQUEST_METHOD").empty();
  const auto [http_name, http] =
      cgi ? std::pair<std::string, std::string>{"http_proxy", variables("http_proxy")}
          : either("HTTP_PROXY");
  if (!http.empty()) {
    auto proxy = parse_proxy(http_name, http);
    if (!proxy) return fail(std::move(proxy.error()));
    options.http = std::move(*proxy);
  }
  const auto [https_name, https] = either("HTTPS_PROXY");
  if (!https.empty()) {
    auto proxy = parse_proxy(https_name, https);
    if (!proxy) return fail(std::move(proxy.error()));
    options.https = std::move(*proxy);
  }
  const auto [no_name, no_proxy] = either("NO_PROXY");
  for (const auto part : no_proxy | std::views::split(',')) {
    std::string entry(part.begin(), part.end());
    if (entry.find_first_not_of(" \t") == std::string::npos) continue;
    if (options.no_proxy.size() == kMaxNoProxyEntries) {
      return fail(ErrorKind::kInvalid, no_name + ": more than 1024 entries");
    }
    options.no_proxy.push_back(std::move(entry));
  }
  return options;
}

Result<ProxyOptions> ProxyOptions::from_environment() {
  return from([](const std::string& name) -> std::string {
    const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): at start
    return value == nullptr ? "" : value;
  });
}

Result<ProxyOptions> ProxyOptions::for_all(const std::string& url) {
  ProxyOptions options;
  if (url.empty()) return options;
  auto proxy = parse_proxy("proxy", url);
  if (!proxy) return fail(std::move(proxy.error()));
  options.http = *proxy;
  options.https = std::move(*proxy);
  return options;
}

const Proxy* ProxyOptions::select(const Url& url) const {
  const std::optional<Proxy>& proxy = url.tls ? https : http;
  if (!proxy) return nullptr;
  Target target{
      .host = ascii_lower(url.host), .port = url.port, .address = SocketAddress::parse(url.host)};
  if (target.host.ends_with('.')) target.host.pop_back();
  if (target.host == "localhost" || (target.address && target.address->is_loopback())) {
    return nullptr;
  }
  const bool direct = std::ranges::any_of(
      no_proxy, [&](const std::string& entry) { return trimmed_entry_matches(entry, target); });
  return direct ? nullptr : &*proxy;
}

}  // namespace tidemark::net
