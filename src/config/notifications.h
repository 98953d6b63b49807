// NotificationsConfig: who is told outside the cluster, and of what.
//
// Purpose: the `notifications` section of the configuration, as values. What is secret (most URLs
// are) can be named by file, so that a configuration can be shown and checked by who may not see
// it; headers only so. Thread-safety: values. Errors: parse_config's.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/http.h"
#include "notify/format.h"
#include "notify/template.h"

namespace tidemark::config {

struct NotificationSink {
  std::string name;  // a metric's label: a DNS label
  notify::Format format = notify::Format::kWebhook;
  std::optional<net::Url> url{};  // or url_file
  std::optional<std::filesystem::path> url_file{};
  std::map<std::string, std::filesystem::path> header_files{};  // name to the file of its value
  std::optional<std::filesystem::path> ca_file{};               // beside the system's roots
  std::set<std::string> events{};
  std::set<std::string> namespaces{};  // empty: all
  std::optional<notify::MessageTemplate> text{};
  std::chrono::milliseconds min_interval{0};
};

struct NotificationsConfig {
  std::string cluster_name;
  std::vector<NotificationSink> sinks;
};

// For config.cc: relative files begin at `folder`.
class YamlValue;
NotificationsConfig read_notifications(const YamlValue& value, const std::filesystem::path& folder);

}  // namespace tidemark::config
