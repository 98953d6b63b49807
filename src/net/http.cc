#include "net/http.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <ctime>
#include <utility>

namespace tidemark::net {
namespace {

constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035, 2.3.4: 255 on the wire
constexpr std::size_t kMaxUrlBytes = 8192;  // RFC 9112, 3: at least 8000 octets are to be supported
constexpr std::chrono::hours kMaxRetryAfter{1};  // a server cannot park a client for longer

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), to_lower);
  return out;
}

std::uint16_t default_port(bool tls) { return tls ? 443 : 80; }

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHostBytes && std::ranges::all_of(host, [](char c) {
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
  });
}

// Enough to keep an address apart from everything else; the resolver parses it for good.
bool is_ipv6_literal(std::string_view host) {
  return host.find(':') != std::string_view::npos && host.size() <= 45 &&
         std::ranges::all_of(host, [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
                  c == '.';
         });
}

// "scheme" of "scheme:rest" (RFC 3986, 3.1), or empty.
std::string_view scheme_of(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || !is_alpha(text[0])) return {};
  const std::string_view scheme = text.substr(0, colon);
  const bool well_formed = std::ranges::all_of(scheme, [](char c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
  return well_formed ? scheme : std::string_view{};
}

// Path without "." and ".." segments (RFC 3986, 5.2.4); `path` begins with '/'.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(1, end - 1);
    const bool last = end == path.size();
    if (segment == "..") out.resize(out.empty() ? 0 : out.rfind('/'));
    if (segment != "." && segment != "..") {
      out.append("/").append(segment);
    } else if (last) {
      out.append("/");
    }
    path.remove_prefix(end);
  }
  return out.empty() ? "/" : out;
}

std::string normalised_target(std::string_view target) {
  const std::size_t query = std::min(target.find('?'), target.size());
  return without_dot_segments(target.substr(0, query)).append(target.substr(query));
}

}  // namespace

const std::string* find_header(const Headers& headers, std::string_view name) {
  const auto found = std::ranges::find_if(
      headers, [name](const Header& header) { return equals_ignoring_case(header.name, name); });
  return found == headers.end() ? nullptr : &found->value;
}

std::vector<std::string_view> find_headers(const Headers& headers, std::string_view name) {
  std::vector<std::string_view> values;
  for (const Header& header : headers) {
    if (equals_ignoring_case(header.name, name)) values.emplace_back(header.value);
  }
  return values;
}

Result<Url> Url::parse(std::string_view text) {
  // The text is attacker-chosen in places (Location, realm): it is quoted nowhere in full.
  const auto invalid = [](std::string_view why) {
    return fail(ErrorKind::kInvalid, std::string("URL: ").append(why));
  };
  if (text.size() > kMaxUrlBytes) return invalid("longer than 8192 bytes");
  if (!std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; })) {
    return invalid("a character outside printable ASCII");
  }
  const std::string_view scheme = scheme_of(text);
  Url url;
  if (equals_ignoring_case(scheme, "https")) {
    url.tls = true;
  } else if (equals_ignoring_case(scheme, "http")) {
    url.tls = false;
  } else {
    return invalid("not http:// or https://");
  }
  url.port = default_port(url.tls);
  text.remove_prefix(scheme.size() + 1);
  if (!text.starts_with("//")) return invalid("no host");
  text.remove_prefix(2);
  text = text.substr(0, text.find('#'));

  const std::size_t authority_end = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  const std::string_view target = text.substr(authority_end);
  if (authority.find('@') != std::string_view::npos) return invalid("user information is refused");

  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return invalid("no closing bracket");
    const std::string_view address = authority.substr(1, bracket - 1);
    if (!is_ipv6_literal(address)) return invalid("not an IPv6 address in brackets");
    url.host = lowered(address);
    const std::string_view rest = authority.substr(bracket + 1);
    if (!rest.empty() && rest[0] != ':') return invalid("text after the closing bracket");
    if (!rest.empty()) port = rest.substr(1);
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    if (!is_host_name(authority.substr(0, colon))) return invalid("not a host name");
    url.host = lowered(authority.substr(0, colon));
    if (colon < authority.size()) port = authority.substr(colon + 1);
  }
  if (!port.empty()) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0 || number > 65535) {
      return invalid("not a port");
    }
    url.port = static_cast<std::uint16_t>(number);
  }
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

Result<Url> Url::resolve(std::string_view location) const {
  location = location.substr(0, location.find('#'));
  const std::string scheme = tls ? "https:" : "http:";
  std::string absolute;
  if (!scheme_of(location).empty()) {
    absolute = location;
  } else if (location.starts_with("//")) {
    absolute = scheme + std::string(location);
  } else {
    const std::size_t query = std::min(target.find('?'), target.size());
    const std::string origin = scheme + "//" + authority();
    if (location.empty()) {
      absolute = origin + target;
    } else if (location.starts_with('/')) {
      absolute = origin + std::string(location);
    } else if (location.starts_with('?')) {
      absolute = origin + target.substr(0, query) + std::string(location);
    } else {
      const std::string directory = target.substr(0, target.rfind('/', query) + 1);
      absolute = origin + directory + std::string(location);
    }
  }
  Result<Url> url = parse(absolute);
  if (url) url->target = normalised_target(url->target);
  return url;
}

std::string Url::authority() const {
  const bool bracketed = host.find(':') != std::string::npos;
  std::string out;
  out.reserve(host.size() + 8);
  if (bracketed) out += '[';
  out += host;
  if (bracketed) out += ']';
  return out.append(":").append(std::to_string(port));
}

std::string Url::host_header() const {
  std::string out = authority();
  if (port == default_port(tls)) out.resize(out.rfind(':'));
  return out;
}

std::string Url::origin() const {
  return std::string(tls ? "https://" : "http://").append(host_header());
}

std::string Url::str() const { return origin().append(target); }

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 0xfU];
    }
  }
  return out;
}

std::optional<WallTime> parse_http_date(const std::string& text) {
  // IMF-fixdate, and the two obsolete forms that a recipient must accept.
  constexpr std::array kFormats = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                   "%a %b %e %H:%M:%S %Y"};
  for (const char* format : kFormats) {
    std::tm parts{};
    const char* end = strptime(text.c_str(), format, &parts);
    if (end == nullptr || *end != '\0') continue;
    const std::chrono::year_month_day day{
        std::chrono::year{parts.tm_year + 1900},
        std::chrono::month{static_cast<unsigned>(parts.tm_mon + 1)},
        std::chrono::day{static_cast<unsigned>(parts.tm_mday)}};
    if (!day.ok()) return std::nullopt;
    return std::chrono::sys_days{day} + std::chrono::hours{parts.tm_hour} +
           std::chrono::minutes{parts.tm_min} + std::chrono::seconds{parts.tm_sec};
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> retry_after(const Headers& headers, WallTime now) {
  const std::string* value = find_header(headers, "Retry-After");
  if (value == nullptr || value->empty()) return std::nullopt;
  constexpr std::chrono::milliseconds kMax = kMaxRetryAfter;

  if (std::ranges::all_of(*value, is_digit)) {
    std::int64_t seconds = 0;
    const auto [end, error] =
        std::from_chars(value->data(), value->data() + value->size(), seconds);
    if (error != std::errc{} || seconds > kMax / std::chrono::seconds{1}) return kMax;
    return std::chrono::seconds{seconds};
  }

  const auto when = parse_http_date(*value);
  if (!when) return std::nullopt;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*when - now);
  return std::clamp(wait, std::chrono::milliseconds::zero(), kMax);
}

}  // namespace tidemark::net
