#include "registry/head_resolver.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "registry/answer_error.h"
#include "registry/encoding.h"

namespace tidemark::registry {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

// Indexes first: a tag that names one must answer with the index's digest, never with a platform's.
constexpr std::array<std::string_view, 4> kManifestTypes = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
};
constexpr std::string_view kImageConfigType = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kSchema1Prefix = "application/vnd.docker.distribution.manifest.v1+";

// A timeout says something about the registry only where it had a fair chance to answer.
constexpr milliseconds kFairBudget{1000};
// Without Retry-After; and no registry is left alone longer than this for one 429.
constexpr milliseconds kDefaultPause{1000};
constexpr milliseconds kMaxPause{3'600'000};  // as net::retry_after() bounds it

constexpr std::size_t kMaxMediaTypeBytes = 255;  // RFC 6838, 4.2: 127 for each half

std::string join_types() {
  std::string out;
  for (const std::string_view type : kManifestTypes) {
    if (!out.empty()) out += ", ";
    out += type;
  }
  return out;
}

std::string media_type_of(const net::Response& response) {
  const std::string* header = net::find_header(response.headers, "Content-Type");
  if (header == nullptr) return {};
  std::string type = header->substr(0, std::min(header->find(';'), kMaxMediaTypeBytes));
  while (type.ends_with(' ')) type.pop_back();
  std::ranges::transform(type, type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return type;
}

bool is_manifest_type(std::string_view type) {
  return std::ranges::find(kManifestTypes, type) != kManifestTypes.end();
}

std::unexpected<Error> unusable(std::string message) {
  return fail(
      Error{.kind = ErrorKind::kInvalid, .message = std::move(message), .http_status = 200});
}

std::unexpected<Error> schema1() {
  return unusable("the manifest has schema 1, which no container runtime pulls any more");
}

// nullopt: the answer has no such header.
Result<std::optional<image::Digest>> digest_header(const net::Response& response) {
  const std::string* header = net::find_header(response.headers, "Docker-Content-Digest");
  if (header == nullptr || header->empty()) return std::optional<image::Digest>{};
  auto digest = image::Digest::parse(*header);
  if (!digest) return unusable("Docker-Content-Digest: " + digest.error().message);
  return std::optional(std::move(*digest));
}

// The media type of a body that came under a general one (static file servers know no other), or
// "" where it is no manifest at all, such as a captive portal's page.
std::string sniff_type(const std::string& body) {
  const Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return {};
  if (const auto type = document.find("mediaType"); type != document.end() && type->is_string()) {
    return type->get<std::string>();
  }
  const auto version = document.find("schemaVersion");
  if (version == document.end() || !version->is_number_integer()) return {};
  if (*version == 1) return std::string(kSchema1Prefix) + "json";
  if (document.contains("manifests")) return std::string(kManifestTypes[0]);
  if (document.contains("layers")) return std::string(kManifestTypes[2]);
  return {};
}

// What a body hashes to; checked against the header, and the reference's digest, where given.
Result<image::Digest> digest_of_body(const std::string& body,
                                     const std::optional<image::Digest>& header,
                                     const std::optional<image::Digest>& wanted) {
  for (const std::optional<image::Digest>* expected : {&header, &wanted}) {
    if (*expected && !matches(**expected, body)) {
      return unusable("the manifest does not have the digest " + (*expected)->str());
    }
  }
  if (header) return *header;
  if (wanted) return *wanted;
  return image::Digest::parse("sha256:" + sha256_hex(body));
}

// What no pod runs: artifacts (image-spec "Image Index": artifactType), and attestations as
// buildkit writes them ("Image attestation storage": platform unknown/unknown and this annotation).
bool is_artifact(const Json& manifest) {
  if (const auto type = manifest.find("artifactType");
      type != manifest.end() && type->is_string()) {
    const auto& name = type->get_ref<const std::string&>();
    if (!name.empty() && name != kImageConfigType) return true;
  }
  const auto annotations = manifest.find("annotations");
  return annotations != manifest.end() && annotations->is_object() &&
         annotations->contains("vnd.docker.reference.type");
}

// The images that an index names. What is no digest of ours belongs to no pod either.
std::vector<image::Digest> platforms_of(const std::string& body) {
  std::vector<image::Digest> digests;
  const Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto manifests = document.is_object() ? document.find("manifests") : document.end();
  if (manifests == document.end() || !manifests->is_array()) return digests;
  for (const Json& manifest : *manifests) {
    if (!manifest.is_object() || is_artifact(manifest)) continue;
    const auto text = manifest.find("digest");
    if (text == manifest.end() || !text->is_string()) continue;
    if (auto digest = image::Digest::parse(text->get<std::string>())) {
      digests.push_back(std::move(*digest));
    }
  }
  return digests;
}

std::optional<std::string> text_in(const Json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>())
                                                     : std::nullopt;
}

// image-spec "Annotations" (of an index or manifest) and "Image Configuration" (created).
std::optional<WallTime> creation_in(const Json& document) {
  auto text = text_in(document, "created");
  if (const auto annotations = document.is_object() ? document.find("annotations") : document.end();
      !text && annotations != document.end()) {
    text = text_in(*annotations, "org.opencontainers.image.created");
  }
  if (!text) return std::nullopt;
  const auto time = parse_rfc3339(*text);
  return time ? std::optional(*time) : std::nullopt;
}

std::optional<image::Digest> digest_in(const Json& descriptor) {
  const auto text = text_in(descriptor, "digest");
  if (!text) return std::nullopt;
  auto digest = image::Digest::parse(*text);
  return digest ? std::optional(std::move(*digest)) : std::nullopt;
}

// Of an index; nullopt of anything else.
std::optional<image::Digest> first_image(const Json& document) {
  const auto manifests = document.is_object() ? document.find("manifests") : document.end();
  if (manifests == document.end() || !manifests->is_array()) return std::nullopt;
  for (const Json& manifest : *manifests) {
    if (!manifest.is_object() || is_artifact(manifest)) continue;
    if (auto digest = digest_in(manifest)) return digest;
  }
  return std::nullopt;
}

std::optional<image::Digest> configuration(const Json& document) {
  const auto config = document.is_object() ? document.find("config") : document.end();
  return config == document.end() ? std::nullopt : digest_in(*config);
}

bool leads_to_next_credential(ErrorKind kind) {
  return kind == ErrorKind::kUnauthorized || kind == ErrorKind::kForbidden ||
         kind == ErrorKind::kNotFound;
}

std::string account_key(const Endpoint& endpoint, const Credential& credential) {
  return endpoint.name + "\n" + credential.identity();
}

std::string registry_of(std::string_view account) {
  return std::string(account.substr(0, account.find('\n')));
}

}  // namespace

HeadResolver::HeadResolver(const Options& options, const Endpoints& endpoints,
                           RegistryMetrics& metrics, const Clock& clock, Logger log)
    : endpoints_(endpoints),
      clock_(clock),
      log_(std::move(log)),
      exchange_(endpoints, metrics),
      pacer_(clock),
      tokens_(exchange_, pacer_, clock),
      authorizer_(tokens_),
      quotas_(clock),
      breaker_(options.breaker, clock, options.seed) {}

Result<Resolution> HeadResolver::resolve(const Query& query, Deadline deadline,
                                         std::stop_token stop) {
  auto result = guarded(query, deadline, stop,
                        [this](const Question& question) { return ask_digest(question); });
  if (!result) {
    const std::string name = query.reference.str();
    log_.debug("reference not resolved", {{"reference", name}, {"cause", result.error().message}});
    return fail(within(name, std::move(result.error())));
  }
  return result;
}

Result<TagList> HeadResolver::tags(const Query& query, Deadline deadline, std::stop_token stop) {
  auto result = guarded(query, deadline, stop,
                        [this](const Question& question) { return ask_tags(question); });
  if (!result) {
    const std::string name = query.reference.name();
    log_.debug("tags not listed", {{"repository", name}, {"cause", result.error().message}});
    return fail(within("tags of " + name, std::move(result.error())));
  }
  return result;
}

Result<Creation> HeadResolver::created(const Query& query, Deadline deadline,
                                       std::stop_token stop) {
  auto result = guarded(query, deadline, stop,
                        [this](const Question& question) { return ask_creation(question); });
  if (!result) return fail(within(query.reference.str(), std::move(result.error())));
  return result;
}

std::vector<QuotaLeft> HeadResolver::quotas() {
  std::map<std::string, QuotaLeft> least;
  for (const Quotas::Left& known : quotas_.known()) {
    std::string registry = registry_of(known.key);
    QuotaLeft of{
        .registry = registry, .left = known.left, .limit = known.limit, .to_come = known.to_come};
    const auto [entry, first] = least.try_emplace(std::move(registry), of);
    if (!first && of.left < entry->second.left) entry->second = std::move(of);
  }
  std::vector<QuotaLeft> out;
  for (auto& [registry, quota] : least) out.push_back(std::move(quota));
  return out;
}

template <typename Ask>
auto HeadResolver::guarded(const Query& query, Deadline deadline, const std::stop_token& stop,
                           Ask ask) -> std::invoke_result_t<Ask, const Question&> {
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "canceled");
  const auto endpoint = endpoints_.find(query.reference.registry());
  if (!endpoint) return fail(endpoint.error());
  const std::string& registry = endpoint->name;

  // Once before waiting for a slot (an open breaker answers at once), and once after, for the
  // registry may have died meanwhile.
  if (auto open = breaker_.check(registry); !open) return fail(open.error());
  const auto slot = limiter_.acquire(registry, endpoint->max_concurrency, deadline, stop);
  if (!slot) return fail(slot.error());
  auto ticket = breaker_.admit(registry);
  if (!ticket) return fail(ticket.error());

  const bool fair = deadline.remaining() >= std::min(kFairBudget, endpoint->timeout);
  auto result = try_credentials(query, *endpoint, deadline, stop, ask);
  if (result || result.error().http_status != 0) {
    ticket->succeeded();
  } else if (result.error().kind == ErrorKind::kUnavailable ||
             (result.error().kind == ErrorKind::kTimeout && fair)) {
    ticket->failed();
  }
  return result;
}

template <typename Ask>
auto HeadResolver::try_credentials(const Query& query, const Endpoint& endpoint, Deadline deadline,
                                   const std::stop_token& stop, Ask ask)
    -> std::invoke_result_t<Ask, const Question&> {
  static const std::vector<Credential> kAnonymous(1);
  const std::vector<Credential>& credentials =
      query.credentials.empty() ? kAnonymous : query.credentials;
  const std::string repository = endpoint.repository(query.reference.repository());
  std::invoke_result_t<Ask, const Question&> result = fail(ErrorKind::kInternal, "no credential");
  for (const Credential& credential : credentials) {
    const std::string account = account_key(endpoint, credential);
    if (auto open = breaker_.check(account); !open) return fail(open.error());
    result = ask(Question{.reference = query.reference,
                          .repository = repository,
                          .endpoint = endpoint,
                          .credential = credential,
                          .deadline = deadline,
                          .stop = stop,
                          .with_platforms = query.with_platforms});
    if (result) {
      result->credential_source = credential.source;
      return result;
    }
    // A registry's own word (429, or 503 with a time), not that of its pacing here.
    const Error& error = result.error();
    if (error.http_status == 429 || (error.http_status == 503 && error.retry_after)) {
      breaker_.pause(account, std::min(error.retry_after.value_or(kDefaultPause), kMaxPause));
    }
    if (!leads_to_next_credential(result.error().kind)) return result;
  }
  if (credentials.size() > 1) {
    result.error().message +=
        " (the last of " + std::to_string(credentials.size()) + " credentials)";
  }
  return result;
}

Result<Answer> HeadResolver::send(const Question& question, Operation operation,
                                  const net::Request& request, Authorization& authorization) {
  const bool head = operation == Operation::kHead;
  const std::string& name = question.endpoint.name;
  const std::string account = account_key(question.endpoint, question.credential);
  const auto once = [&]() -> Result<Answer> {
    // Who waits for a turn still has a fair time for the answer.
    const Deadline latest =
        Deadline::at(question.deadline.point() - std::min(kFairBudget, question.endpoint.timeout));
    const auto wait = [&](const std::string& key, std::chrono::microseconds spacing) {
      return pacer_.wait(key, spacing, latest, question.stop);
    };
    if (auto turn = wait(account, quotas_.spacing(account, head)); !turn) {
      turn.error().message += " (its quota is nearly used up)";
      return fail(std::move(turn.error()));
    }
    if (auto turn = wait(name, question.endpoint.spacing); !turn) return fail(turn.error());
    auto answer = exchange_.send(question.reference.registry(), operation, request,
                                 authorization.header, question.deadline, question.stop);
    if (answer && !answer->from_elsewhere) quotas_.learn(account, head, answer->response.headers);
    return answer;
  };
  auto answer = once();
  if (!answer || answer->response.status != 401) return answer;
  if (answer->from_elsewhere) return answer;
  auto renewed = authorizer_.after_refusal(question, answer->response.headers, authorization);
  if (!renewed) return fail(renewed.error());
  authorization = std::move(*renewed);
  return once();
}

Result<Answer> HeadResolver::request_manifest(const Question& question, Operation operation,
                                              Authorization& authorization) {
  const bool head = operation == Operation::kHead;
  // The grammar leaves nothing in a repository, tag or digest that a path would have to escape.
  net::Request request{
      .method = head ? "HEAD" : "GET", .url = question.endpoint.base, .headers = {}, .body = {}};
  request.url.target +=
      "/v2/" + question.repository + "/manifests/" + question.reference.manifest_name();
  request.headers.push_back({"Accept", join_types()});
  request.max_body_bytes = head ? kMaxErrorBodyBytes : kMaxManifestBytes;
  return send(question, operation, request, authorization);
}

Result<TagList> HeadResolver::ask_tags(const Question& question) {
  auto authorization = authorizer_.before(question);
  if (!authorization) return fail(authorization.error());
  net::Request request{.url = question.endpoint.base, .headers = {}, .body = {}};
  request.url.target +=
      "/v2/" + question.repository + "/tags/list?n=" + std::to_string(kTagsOfAPage);
  const std::string first = request.url.target;
  bool linked = true;  // to the page that is asked for
  request.headers.push_back({"Accept", "application/json"});
  request.max_body_bytes = kMaxTagPageBytes;
  TagList out;
  for (std::size_t page = 0; page < kMaxTagPages; ++page) {
    const auto answer = send(question, Operation::kTags, request, *authorization);
    if (!answer) return fail(answer.error());
    if (answer->response.status != 200) {
      return fail(answer_error(answer->response, clock_.wall_now(), question.credential,
                               authorization->header));
    }
    auto tags = parse_tag_page(answer->response.body);
    if (!tags) return unusable(std::move(tags.error().message));
    // Without a Link it was a try; a registry that knows no `last` has begun anew.
    const bool again =
        !linked && !tags->empty() && std::ranges::find(out.tags, tags->front()) != out.tags.end();
    if (again) return out;
    const bool full = tags->size() == kTagsOfAPage;
    std::ranges::move(*tags, std::back_inserter(out.tags));
    if (out.tags.size() > kMaxTags) break;
    auto next = next_tag_page(request.url, answer->response.headers);
    linked = next.has_value();
    // Some registries cut the list off where they were told to, and give no Link.
    if (!linked && full) next = first + "&last=" + out.tags.back();
    if (!next) return out;
    if (*next == request.url.target) return unusable("a page of tags leads to itself");
    request.url.target = std::move(*next);
  }
  return fail(Error{.kind = ErrorKind::kTooLarge,
                    .message = "more than " + std::to_string(kMaxTags) + " tags, or " +
                               std::to_string(kMaxTagPages) + " pages of them",
                    .http_status = 200});
}

// From the outside in: index, manifest, configuration, until one of them says a time.
Result<Creation> HeadResolver::ask_creation(const Question& question) {
  auto authorization = authorizer_.before(question);
  if (!authorization) return fail(authorization.error());
  std::optional<image::Digest> digest = question.reference.digest();
  std::string_view what = "manifests";
  for (int depth = 0; digest && depth < 3; ++depth) {
    net::Request request{.url = question.endpoint.base, .headers = {}, .body = {}};
    request.url.target +=
        "/v2/" + question.repository + "/" + std::string(what) + "/" + digest->str();
    request.headers.push_back({"Accept", what == "blobs" ? "*/*" : join_types()});
    request.max_body_bytes = kMaxManifestBytes;
    const auto answer = send(question, Operation::kGet, request, *authorization);
    if (!answer) return fail(answer.error());
    if (answer->response.status != 200) {
      return fail(answer_error(answer->response, clock_.wall_now(), question.credential,
                               authorization->header));
    }
    const std::string& body = answer->response.body;
    if (!matches(*digest, body))
      return unusable("a body does not have the digest " + digest->str());
    const Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
    if (const auto time = creation_in(document)) return Creation{.time = *time};
    digest = first_image(document);
    if (!digest) {
      digest = configuration(document);
      what = "blobs";
    }
  }
  return unusable("the image does not say when it was made");
}

Result<Resolution> HeadResolver::ask_digest(const Question& question) {
  auto authorization = authorizer_.before(question);
  if (!authorization) return fail(authorization.error());

  bool has_body = question.with_platforms;
  auto answer =
      request_manifest(question, has_body ? Operation::kGet : Operation::kHead, *authorization);
  if (!answer) return fail(answer.error());
  const auto lacks_digest = [&] {
    const std::string* header = net::find_header(answer->response.headers, "Docker-Content-Digest");
    return header == nullptr || header->empty();
  };
  const int head_status = answer->response.status;
  const bool no_help =
      head_status == 405 || head_status == 501 || (head_status == 200 && lacks_digest());
  if (!has_body && no_help) {
    answer = request_manifest(question, Operation::kGet, *authorization);
    if (!answer) return fail(answer.error());
    has_body = true;
  }

  net::Response& response = answer->response;
  if (response.status != 200) {
    if (response.body.size() > kMaxErrorBodyBytes) response.body.clear();
    return fail(
        answer_error(response, clock_.wall_now(), question.credential, authorization->header));
  }
  std::string type = media_type_of(response);
  if (has_body && !is_manifest_type(type) && !type.starts_with(kSchema1Prefix)) {
    type = sniff_type(response.body);
    if (!is_manifest_type(type) && !type.starts_with(kSchema1Prefix)) {
      return unusable("the answer is neither an image index nor an image manifest");
    }
  }
  if (type.starts_with(kSchema1Prefix)) return schema1();

  const auto header = digest_header(response);
  if (!header) return fail(header.error());
  // A reference with a tag asks for the tag; its digest, if any, is not what is looked for.
  const std::optional<image::Digest> wanted =
      question.reference.tag() ? std::nullopt : question.reference.digest();
  if (has_body) {
    auto digest = digest_of_body(response.body, *header, wanted);
    if (!digest) return fail(digest.error());
    return Resolution{.digest = std::move(*digest),
                      .media_type = std::move(type),
                      .credential_source = {},
                      .platforms = question.with_platforms ? platforms_of(response.body)
                                                           : std::vector<image::Digest>{}};
  }
  if (wanted && **header != *wanted) {
    return unusable("the registry answers with another digest than was asked for");
  }
  return Resolution{.digest = **header, .media_type = std::move(type), .credential_source = {}};
}

}  // namespace tidemark::registry
