#include "sweeper/page.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "net/answers.h"
#include "sweeper/page_api.h"
#include "sweeper/page_assets.h"

namespace tidemark::sweeper {
namespace {

constexpr std::string_view kApi = "/api/v1/";
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// What If-None-Match says: a list of tags, weak or not, or any.
bool is_known(const net::Headers& headers, std::string_view etag) {
  const std::string* known = net::find_header(headers, "If-None-Match");
  return known != nullptr && (*known == "*" || known->find(etag) != std::string::npos);
}

net::Response asset_answer(const Asset& asset, const net::Headers& headers) {
  net::Response out{.status = 200, .headers = {}, .body = {}};
  if (is_known(headers, asset.etag)) {
    out.status = 304;
  } else {
    out.headers.push_back({"Content-Type", std::string(asset.content_type)});
    out.body = asset.body;
  }
  out.headers.push_back({"ETag", std::string(asset.etag)});
  out.headers.push_back({"Cache-Control", "no-cache"});
  return out;
}

// `parsed`: of its parameters. `made(rows, parameters)`: its body.
template <typename Parsed, typename Make>
net::Response api_answer(LiveStatus& live, const Parsed& parsed, const Make& made) {
  if (!parsed) return net::error_answer(400, parsed.error().message);
  const auto rows = live.rows();
  if (!rows) return net::error_answer(503, rows.error().message);
  return net::json_answer(200, made(**rows));
}

net::Response answer_api(std::string_view name, std::string_view query, LiveStatus& live) {
  if (name == "overview") return api_answer(live, parse_no_query(query), overview_json);
  if (name == "slots") {
    const auto parsed = parse_slots_query(query);
    return api_answer(live, parsed,
                      [&](const KnownRows& known) { return slots_json(known, *parsed); });
  }
  if (name == "timeline") {
    const auto parsed = parse_timeline_query(query);
    return api_answer(live, parsed,
                      [&](const KnownRows& known) { return timeline_json(known, *parsed); });
  }
  if (name == "events") {
    net::Response out = api_answer(live, parse_no_query(query), events_text);
    if (out.status == 200) out.headers = {{"Content-Type", "text/event-stream"}};
    return out;
  }
  return net::error_answer(404, "not found");
}

net::Response route(const net::ServerRequest& request, LiveStatus& live) {
  if (request.method != "GET" && request.method != "HEAD") {
    return net::wrong_method("GET, HEAD");
  }
  const auto assets = page_assets();
  const auto asset = std::ranges::find(assets, request.path, &Asset::path);
  if (asset != assets.end()) return asset_answer(*asset, request.headers);
  if (!request.path.starts_with(kApi)) return net::error_answer(404, "not found");
  return answer_api(request.path.substr(kApi.size()), request.query, live);
}

}  // namespace

net::Response answer_page(const net::ServerRequest& request, LiveStatus& live) {
  net::Response out = route(request, live);
  out.headers.push_back({"Content-Security-Policy", kContentSecurityPolicy});
  out.headers.push_back({"X-Content-Type-Options", "nosniff"});
  out.headers.push_back({"Referrer-Policy", "no-referrer"});
  out.headers.push_back({"Cross-Origin-Resource-Policy", "same-origin"});
  if (net::find_header(out.headers, "Cache-Control") == nullptr) {
    out.headers.push_back({"Cache-Control", "no-store"});
  }
  return out;
}

}  // namespace tidemark::sweeper
