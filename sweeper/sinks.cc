#include "sweeper/sinks.h"

#include <random>
#include <utility>
#include <vector>

#include "base/file.h"

namespace tidemark::sweeper {
namespace {

constexpr std::size_t kMaxCaBytes = std::size_t{1024} * 1024;
// Recipients close idle connections when they like, and a POST that meets it waits for its retry.
constexpr std::chrono::seconds kIdleTimeout{5};

Result<net::Url> read_url(const config::NotificationSink& sink) {
  if (sink.url) return *sink.url;
  const auto text = read_secret_file(*sink.url_file);
  if (!text) return fail(text.error());
  auto url = net::Url::parse(*text);
  if (!url) return fail(within(sink.url_file->string(), url.error()));
  if (!url->tls && sink.ca_file) {
    return fail(ErrorKind::kInvalid, "a URL of http:// leaves nothing for caFile to say");
  }
  return url;
}

Result<net::Headers> read_headers(const config::NotificationSink& sink) {
  net::Headers headers;
  for (const auto& [name, file] : sink.header_files) {
    auto value = read_secret_file(file);
    if (!value) return fail(value.error());
    headers.push_back({.name = name, .value = std::move(*value)});
    if (auto checked = net::check_header(headers.back()); !checked) {
      return fail(within(file.string(), checked.error()));
    }
  }
  return headers;
}

Result<net::ClientOptions> client_options(const config::NotificationSink& sink,
                                          const std::string& user_agent) {
  net::ClientOptions options;
  options.user_agent = user_agent;
  options.idle_timeout = kIdleTimeout;
  auto proxy = net::ProxyOptions::from_environment();
  if (!proxy) return fail(proxy.error());
  options.proxy = std::move(*proxy);
  if (sink.ca_file) {
    auto pem = read_file(*sink.ca_file, kMaxCaBytes);
    if (!pem) return fail(pem.error());
    options.trust.ca_pem = std::move(*pem);
  }
  return options;
}

Result<notify::Subscription> subscription_of(const config::NotificationSink& sink,
                                             const std::string& user_agent) {
  auto url = read_url(sink);
  if (!url) return fail(url.error());
  auto headers = read_headers(sink);
  if (!headers) return fail(headers.error());
  auto client = client_options(sink, user_agent);
  if (!client) return fail(client.error());
  return notify::Subscription{.sink = {.name = sink.name,
                                       .format = sink.format,
                                       .url = std::move(*url),
                                       .headers = std::move(*headers),
                                       .text = sink.text,
                                       .min_interval = sink.min_interval,
                                       .seed = std::random_device{}()},
                              .client = std::move(*client),
                              .reasons = sink.events,
                              .namespaces = sink.namespaces};
}

}  // namespace

Result<std::unique_ptr<notify::Notifier>> make_notifier(const config::NotificationsConfig& config,
                                                        const std::string& user_agent,
                                                        const Clock& clock, Metrics& metrics,
                                                        const Logger& log) {
  std::vector<notify::Subscription> subscriptions;
  for (const config::NotificationSink& sink : config.sinks) {
    auto subscription = subscription_of(sink, user_agent);
    if (!subscription) {
      return fail(within("notification sink " + sink.name, subscription.error()));
    }
    subscriptions.push_back(std::move(*subscription));
  }
  return notify::Notifier::make(config.cluster_name, std::move(subscriptions), clock, metrics, log);
}

}  // namespace tidemark::sweeper
