#include "kube/api.h"

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "kube/credentials.h"
#include "kube/http_api.h"
#include "kube/list_pages.h"
#include "kube/list_stream.h"
#include "kube/status.h"
#include "kube/watch.h"
#include "net/client.h"

namespace tidemark::kube {
namespace {

// One object: the same bound, for the same reason, as a watch line.
constexpr std::size_t kMaxObjectBytes = kMaxWatchLineBytes;
// A Status that lists every cause of a rejected object.
constexpr std::size_t kMaxStatusBytes = std::size_t{1} * 1024 * 1024;
// The head of a watch comes at once, unless priority and fairness queues the request (15 s).
constexpr std::chrono::seconds kWatchHeadTimeout{30};
// The server ends a watch at timeoutSeconds; a little later the stream is cut from here.
constexpr std::chrono::seconds kWatchSlack{30};

struct Query {
  std::string text;
  Query& add(std::string_view key, std::string_view value) {
    if (value.empty()) return *this;
    text += text.empty() ? '?' : '&';
    text.append(key).append("=").append(net::percent_encode(value));
    return *this;
  }
};

class HttpApi final : public Api {
 public:
  HttpApi(ClusterConfig config, ClientFactory factory, std::shared_ptr<const Clock> clock,
          Metrics& metrics, Logger log)
      : config_(std::move(config)),
        factory_(std::move(factory)),
        clock_(std::move(clock)),
        credentials_(config_, *clock_, std::move(log)),
        requests_(metrics.counter("tidemark_kube_requests_total",
                                  "Requests to the Kubernetes API by verb and code.")) {
    // "https://host/prefix/" of a proxied cluster: the path of every request begins with it.
    prefix_ = config_.server.target;
    while (prefix_.ends_with('/')) prefix_.pop_back();
  }

  // The client that every request uses, unless an exec plugin gives a certificate.
  Status connect() {
    auto client = factory_(config_.client_pair);
    if (!client) return fail(std::move(client.error()));
    client_ = *std::move(client);
    return {};
  }

  Result<std::string> get(std::string_view path, Deadline deadline, std::stop_token stop) override {
    return send("get", request("GET", path, {}), kMaxObjectBytes, deadline, stop);
  }

  Result<ListResult> list(std::string_view path, const ListOptions& options, const ItemSink& item,
                          Deadline deadline, std::stop_token stop) override;

  Result<std::string> watch(std::string_view path, const WatchOptions& options,
                            const EventSink& event, std::stop_token stop) override;

  Result<std::string> create(std::string_view path, std::string_view body, Deadline deadline,
                             std::stop_token stop) override {
    return send("create", write("POST", path, {}, body, "application/json"), kMaxObjectBytes,
                deadline, stop);
  }

  Result<std::string> update(std::string_view path, std::string_view body, Deadline deadline,
                             std::stop_token stop) override {
    return send("update", write("PUT", path, {}, body, "application/json"), kMaxObjectBytes,
                deadline, stop);
  }

  Result<std::string> patch(std::string_view path, std::string_view body,
                            const PatchOptions& options, Deadline deadline,
                            std::stop_token stop) override {
    Query query;
    query.add("fieldManager", options.field_manager).add("dryRun", options.dry_run ? "All" : "");
    return send("patch", write("PATCH", path, query, body, options.content_type), kMaxObjectBytes,
                deadline, stop);
  }

  Status remove(std::string_view path, Deadline deadline, std::stop_token stop) override {
    auto answer = send("delete", request("DELETE", path, {}), kMaxObjectBytes, deadline, stop);
    if (!answer) return fail(std::move(answer.error()));
    return {};
  }

  std::optional<WallTime> server_time() const override {
    const std::lock_guard lock(mutex_);
    if (!server_clock_) return std::nullopt;
    return server_clock_->date + std::chrono::duration_cast<WallTime::duration>(
                                     clock_->steady_now() - server_clock_->arrived);
  }

 private:
  struct ServerClock {
    WallTime date;  // of an answer
    SteadyTime arrived;
  };

  net::Request request(std::string method, std::string_view path, const Query& query) const {
    net::Request request;
    request.method = std::move(method);
    request.url = config_.server;
    request.url.target = prefix_;
    request.url.target.append(path).append(query.text);
    request.headers.push_back({"Accept", "application/json"});
    return request;
  }

  net::Request write(std::string method, std::string_view path, const Query& query,
                     std::string_view body, const std::string& content_type) const {
    net::Request result = request(std::move(method), path, query);
    result.headers.push_back({"Content-Type", content_type});
    result.body = body;
    return result;
  }

  // Calls `go` with a client and `request` with its credential, once more after a 401 where a
  // fresher credential may be had. `go` answers with any status.
  using Go = std::function<Result<net::Response>(net::HttpClient&, const net::Request&)>;
  Result<net::Response> with_credential(std::string_view verb, const net::Request& request,
                                        Deadline deadline, const std::stop_token& stop,
                                        const Go& go);

  // Any 2xx body; everything else is an error.
  Result<std::string> send(std::string_view verb, net::Request request, std::size_t max_bytes,
                           Deadline deadline, const std::stop_token& stop);

  PageRead list_page(std::string_view path, const Query& query, ListStream& stream,
                     Deadline deadline, const std::stop_token& stop);

  Result<std::shared_ptr<net::HttpClient>> client_for(const Credential& credential);
  void count(std::string_view verb, const Result<net::Response>& response) const;
  void note_date(const net::Response& response);

  const ClusterConfig config_;
  const ClientFactory factory_;
  const std::shared_ptr<const Clock> clock_;
  std::string prefix_;
  Credentials credentials_;
  CounterFamily requests_;
  mutable std::mutex mutex_;  // of what is below
  std::shared_ptr<net::HttpClient> client_;
  std::uint64_t client_generation_ = 0;
  std::optional<ServerClock> server_clock_;
};

Result<std::shared_ptr<net::HttpClient>> HttpApi::client_for(const Credential& credential) {
  const std::lock_guard lock(mutex_);
  // Only an exec plugin changes the certificate; all its requests after that use a new client.
  if (config_.exec && credential.client_pair && credential.generation != client_generation_) {
    auto client = factory_(credential.client_pair);
    if (!client) return client;
    client_ = *std::move(client);
    client_generation_ = credential.generation;
  }
  return client_;
}

void HttpApi::count(std::string_view verb, const Result<net::Response>& response) const {
  const std::string code =
      response ? std::to_string(response->status) : std::string(to_string(response.error().kind));
  requests_.with({{"verb", std::string(verb)}, {"code", code}}).add();
}

void HttpApi::note_date(const net::Response& response) {
  const std::string* value = net::find_header(response.headers, "Date");
  const auto date = value == nullptr ? std::nullopt : net::parse_http_date(*value);
  if (!date) return;
  const std::lock_guard lock(mutex_);
  server_clock_ = ServerClock{.date = *date, .arrived = clock_->steady_now()};
}

Result<net::Response> HttpApi::with_credential(std::string_view verb, const net::Request& request,
                                               Deadline deadline, const std::stop_token& stop,
                                               const Go& go) {
  for (bool again = true;; again = false) {
    const auto credential = credentials_.current(deadline, stop);
    if (!credential) return fail(credential.error());
    const auto client = client_for(*credential);
    if (!client) return fail(client.error());
    net::Request signed_request = request;
    if (!credential->token.empty()) {
      signed_request.headers.push_back({"Authorization", "Bearer " + credential->token});
    }
    auto response = go(**client, signed_request);
    count(verb, response);
    if (!response || response->status != 401 || !again ||
        !credentials_.rejected(credential->generation)) {
      return response;
    }
  }
}

Result<std::string> HttpApi::send(std::string_view verb, net::Request request,
                                  std::size_t max_bytes, Deadline deadline,
                                  const std::stop_token& stop) {
  request.max_body_bytes = max_bytes;
  auto response = with_credential(verb, request, deadline, stop,
                                  [&](net::HttpClient& client, const net::Request& ready) {
                                    return client.send(ready, deadline, stop);
                                  });
  if (!response) return fail(std::move(response.error()));
  note_date(*response);
  if (response->status / 100 == 2) return std::move(response->body);
  return fail(describe_failure(*response, clock_->wall_now()).error);
}

PageRead HttpApi::list_page(std::string_view path, const Query& query, ListStream& stream,
                            Deadline deadline, const std::stop_token& stop) {
  net::Request asked = request("GET", path, query);
  asked.max_body_bytes = kMaxStatusBytes;
  const net::HttpClient::StreamLimits limits{
      .headers = deadline, .idle = deadline.remaining(), .whole = deadline};
  auto response = with_credential(
      "list", asked, deadline, stop, [&](net::HttpClient& client, const net::Request& ready) {
        return client.stream(
            ready, limits, [&](std::string_view piece) { return stream.push(piece); }, stop);
      });
  if (!response) return {.info = fail(std::move(response.error()))};
  if (response->status / 100 == 2) return {.info = stream.finish()};
  ApiFailure failure = describe_failure(*response, clock_->wall_now());
  return {.info = fail(std::move(failure.error)),
          .other_continue_token = std::move(failure.continue_token)};
}

Result<ListResult> HttpApi::list(std::string_view path, const ListOptions& options,
                                 const ItemSink& item, Deadline deadline, std::stop_token stop) {
  const ReadPage read = [&](const std::string& token, ListStream& stream,
                            const std::stop_token& stop_page) {
    Query query;
    query.add("limit", std::to_string(options.limit))
        .add("labelSelector", options.label_selector)
        .add("fieldSelector", options.field_selector)
        .add("continue", token);
    return list_page(path, query, stream, deadline, stop_page);
  };
  return list_pages(read, item, stop);
}

Result<std::string> HttpApi::watch(std::string_view path, const WatchOptions& options,
                                   const EventSink& event, std::stop_token stop) {
  Query query;
  query.add("watch", "1")
      .add("allowWatchBookmarks", "true")
      .add("timeoutSeconds", std::to_string(options.timeout.count()))
      .add("labelSelector", options.label_selector)
      .add("fieldSelector", options.field_selector)
      .add("resourceVersion", options.resource_version);
  net::Request asked = request("GET", path, query);
  asked.max_body_bytes = kMaxStatusBytes;
  const auto head = Deadline::after(kWatchHeadTimeout);
  const net::HttpClient::StreamLimits limits{
      .headers = head,
      .idle = options.idle,
      .whole = Deadline::after(options.timeout + kWatchSlack)};
  WatchStream stream(options.resource_version, event);
  auto response = with_credential(
      "watch", asked, head, stop, [&](net::HttpClient& client, const net::Request& ready) {
        return client.stream(
            ready, limits, [&](std::string_view piece) { return stream.push(piece); }, stop);
      });
  if (stream.failure()) return fail(*stream.failure());
  if (!response) {
    // Broken or silent after it had worked: the caller goes on from where it was.
    const bool broken = response.error().kind == ErrorKind::kUnavailable ||
                        response.error().kind == ErrorKind::kTimeout;
    if (broken && stream.progressed()) return stream.resource_version();
    return fail(std::move(response.error()));
  }
  if (response->status / 100 != 2) {
    return fail(describe_failure(*response, clock_->wall_now()).error);
  }
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
  return stream.resource_version();
}

}  // namespace

std::string resource_path(std::string_view api_version, std::string_view resource,
                          std::string_view ns, std::string_view name) {
  // Only the core group has no name of its own: "v1".
  std::string path = api_version.find('/') == std::string_view::npos ? "/api/" : "/apis/";
  path += api_version;
  if (!ns.empty()) path += "/namespaces/" + net::percent_encode(ns);
  path.append("/").append(resource);
  if (!name.empty()) path += "/" + net::percent_encode(name);
  return path;
}

Result<std::unique_ptr<Api>> make_http_api(ClusterConfig config, ClientFactory factory,
                                           std::shared_ptr<const Clock> clock, Metrics& metrics,
                                           Logger log) {
  auto api = std::make_unique<HttpApi>(std::move(config), std::move(factory), std::move(clock),
                                       metrics, std::move(log));
  if (Status status = api->connect(); !status) return fail(std::move(status.error()));
  return api;
}

Result<std::unique_ptr<Api>> make_api(ClusterConfig config, std::string user_agent,
                                      Metrics& metrics, Logger log) {
  net::ClientOptions options;
  options.trust.system_roots = config.ca_pem.empty();
  options.trust.ca_pem = config.ca_pem;
  options.trust.insecure_skip_verify = config.insecure_skip_verify;
  options.server_name = config.tls_server_name;
  options.user_agent = std::move(user_agent);
  auto proxy = config.proxy_url.empty() ? net::ProxyOptions::from_environment()
                                        : net::ProxyOptions::from([&](const std::string& name) {
                                            return name.ends_with("_PROXY") && name != "NO_PROXY"
                                                       ? config.proxy_url
                                                       : std::string();
                                          });
  if (!proxy) return fail(within("proxy of the API server", std::move(proxy.error())));
  options.proxy = *std::move(proxy);
  auto factory = [options](const std::optional<net::KeyPair>& pair) {
    net::ClientOptions own = options;
    own.trust.client_pair = pair;
    return net::make_client(own);
  };
  return make_http_api(std::move(config), std::move(factory), std::make_shared<SystemClock>(),
                       metrics, std::move(log));
}

}  // namespace tidemark::kube
