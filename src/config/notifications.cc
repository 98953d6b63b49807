#include "config/notifications.h"

#include <algorithm>
#include <utility>

#include "config/names.h"
#include "config/yaml_section.h"
#include "net/client.h"
#include "workload/kind.h"

namespace tidemark::config {
namespace {

using namespace std::chrono_literals;

// Each has a thread, and a queue of up to 10 MiB.
constexpr std::size_t kMaxSinks = 20;
constexpr std::size_t kMaxClusterNameBytes = 253;  // a DNS name
constexpr std::chrono::milliseconds kMaxInterval = 1h;
// "Rate limits" of Slack: one message a second of an incoming webhook.
constexpr std::chrono::milliseconds kSlackInterval = 1s;

class SinkReader {
 public:
  explicit SinkReader(std::filesystem::path folder) : folder_(std::move(folder)) {}

  NotificationSink read(const YamlValue& value) {
    read_section(
        value,
        {{"name", [&](const YamlValue& v) { read_name(v); }, true},
         {"format",
          [&](const YamlValue& v) {
            sink_.format = v.parsed(notify::parse_format, {"webhook", "slack", "cloudevents"});
          },
          true},
         {"url", [&](const YamlValue& v) { read_url(v); }},
         {"urlFile", [&](const YamlValue& v) { sink_.url_file = path(v); }},
         {"authorizationFile",
          [&](const YamlValue& v) { add_header(v, "Authorization", path(v)); }},
         {"headerFiles",
          [&](const YamlValue& v) {
            for (const auto& [name, file] : v.entries()) add_header(file, name, path(file));
          }},
         {"caFile", [&](const YamlValue& v) { sink_.ca_file = path(v); }},
         {"events", [&](const YamlValue& v) { read_events(v); }},
         {"namespaces", [&](const YamlValue& v) { read_namespaces(v); }},
         {"template",
          [&](const YamlValue& v) { sink_.text = v.parsed(notify::MessageTemplate::parse); }},
         {"minInterval", [&](const YamlValue& v) { interval_ = v.duration(0ms, kMaxInterval); }}});
    complete(value);
    return std::move(sink_);
  }

 private:
  void read_name(const YamlValue& value) {
    sink_.name = value.text();
    if (!workload::is_dns_label(sink_.name)) value.fail("is no name (a-z, 0-9 and -)");
  }

  // Most of them are secrets.
  void read_url(const YamlValue& value) {
    auto url = net::Url::parse(value.secret());
    if (!url) value.fail(url.error().message);
    sink_.url = std::move(*url);
  }

  void read_events(const YamlValue& value) {
    for (const YamlValue& element : value.list()) {
      sink_.events.insert(
          element.parsed(notify::parse_reason, {notify::kReasons.begin(), notify::kReasons.end()}));
    }
    if (sink_.events.empty()) value.fail("names none");
  }

  void read_namespaces(const YamlValue& value) {
    for (const YamlValue& element : value.list()) {
      sink_.namespaces.insert(namespace_name(element));
    }
  }

  void add_header(const YamlValue& value, const std::string& name, std::filesystem::path file) {
    const net::Headers one = {{.name = name, .value = {}}};
    if (auto checked = net::check_header(one.front()); !checked) {
      value.fail(checked.error().message);
    }
    if (net::find_header(one, "Content-Type") != nullptr) value.fail("is set by the format");
    if (!sink_.header_files.emplace(name, std::move(file)).second) {
      value.fail("names the header " + name + " a second time");
    }
  }

  // What belongs together, and what follows from the format.
  void complete(const YamlValue& value) {
    if (sink_.url.has_value() == sink_.url_file.has_value()) {
      value.fail("needs either url or urlFile");
    }
    if (sink_.url && !sink_.url->tls && sink_.ca_file) {
      value.fail("a url of http:// leaves nothing for caFile to say");
    }
    if (sink_.text && sink_.format == notify::Format::kCloudEvents) {
      value.fail("template: a CloudEvent has data, and no text to write");
    }
    const bool slack = sink_.format == notify::Format::kSlack;
    sink_.min_interval = interval_.value_or(slack ? kSlackInterval : 0ms);
    if (!sink_.events.empty()) return;
    sink_.events.insert(notify::kReasons.begin(), notify::kReasons.end());
    sink_.events.erase("Moved");
  }

  std::filesystem::path path(const YamlValue& value) const {
    const std::string file = value.text();
    if (file.empty()) value.fail("names no file");
    return folder_ / file;
  }

  std::filesystem::path folder_;
  NotificationSink sink_;
  std::optional<std::chrono::milliseconds> interval_;
};

std::string cluster_name(const YamlValue& value) {
  std::string name = value.text();
  if (name.size() > kMaxClusterNameBytes ||
      std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    value.fail("is no name (at most " + std::to_string(kMaxClusterNameBytes) +
               " bytes, no control characters)");
  }
  return name;
}

}  // namespace

NotificationsConfig read_notifications(const YamlValue& value,
                                       const std::filesystem::path& folder) {
  NotificationsConfig out;
  const auto add = [&](const YamlValue& element) {
    NotificationSink sink = SinkReader(folder).read(element);
    if (std::ranges::find(out.sinks, sink.name, &NotificationSink::name) != out.sinks.end()) {
      element.fail("the name " + sink.name + " is taken already");
    }
    if (out.sinks.size() == kMaxSinks) {
      element.fail("is one more than " + std::to_string(kMaxSinks));
    }
    out.sinks.push_back(std::move(sink));
  };
  read_section(value,
               {{"clusterName", [&](const YamlValue& v) { out.cluster_name = cluster_name(v); }},
                {"sinks", [&](const YamlValue& v) {
                   for (const YamlValue& element : v.list()) add(element);
                 }}});
  return out;
}

}  // namespace tidemark::config
