#include "notify/format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "net/http.h"

namespace tidemark::notify {
namespace {

using nlohmann::ordered_json;

struct FormatName {
  std::string_view name;
  Format format;
};
constexpr std::array<FormatName, 3> kFormats = {{{"webhook", Format::kWebhook},
                                                 {"slack", Format::kSlack},
                                                 {"cloudevents", Format::kCloudEvents}}};

// What a message of Slack's bound holds of lines as they are without a template.
constexpr std::size_t kMaxJoined = 64;

// Names that Mattermost and Slack (with parse: full) take for mentions of everybody.
constexpr std::array<std::string_view, 4> kMentions = {"channel", "here", "all", "everyone"};
constexpr std::string_view kZeroWidthSpace = "\xE2\x80\x8B";

std::string dumped(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

bool begins_with_mention(std::string_view text) {
  return std::ranges::any_of(kMentions, [text](std::string_view name) {
    return std::ranges::equal(text.substr(0, name.size()), name, [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == b;
    });
  });
}

std::string escape_for_slack(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (std::size_t at = 0; at < value.size(); ++at) {
    const char c = value[at];
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += ' ';
    } else {
      out += c;
      if (c == '@' && begins_with_mention(value.substr(at + 1))) out += kZeroWidthSpace;
    }
  }
  return out;
}

std::string as_it_is(std::string_view value) { return std::string(value); }

std::string slack_line(const std::optional<MessageTemplate>& text,
                       const Notification& notification) {
  if (text) return text->render(notification, escape_for_slack);
  std::string line;
  if (!notification.cluster.empty()) line = "[" + escape_for_slack(notification.cluster) + "] ";
  return line + "*" + notification.reason + "* " +
         escape_for_slack(notification.kind + " " + notification.ns + "/" + notification.workload +
                          ": " + notification.text);
}

Message slack_message(const std::optional<MessageTemplate>& text, std::span<const Queued> waiting) {
  std::string lines = cut(slack_line(text, *waiting.front()), kMaxSlackBytes);
  std::size_t count = 1;
  for (const Queued& each : waiting.subspan(1)) {
    const std::string line = slack_line(text, *each);
    if (lines.size() + 1 + line.size() > kMaxSlackBytes) break;
    lines += '\n' + line;
    ++count;
  }
  return {.content_type = "application/json",
          .body = dumped(ordered_json{{"text", lines}}),
          .count = count};
}

ordered_json json_of(const Notification& notification, const std::optional<MessageTemplate>& text) {
  ordered_json slots = ordered_json::array();
  for (const Move& move : notification.moves) {
    ordered_json slot{{"slot", move.slot}, {"image", move.image}};
    if (!move.from.empty()) slot["from"] = move.from;
    if (!move.to.empty()) slot["to"] = move.to;
    if (!move.new_image.empty()) slot["newImage"] = move.new_image;
    slots.push_back(std::move(slot));
  }
  ordered_json out{{"id", id_of(notification)}, {"time", to_rfc3339(notification.time)}};
  if (!notification.cluster.empty()) out["cluster"] = notification.cluster;
  out["reason"] = notification.reason;
  out["warning"] = notification.warning;
  out["apiVersion"] = notification.api_version;
  out["kind"] = notification.kind;
  out["namespace"] = notification.ns;
  out["workload"] = notification.workload;
  if (!notification.uid.empty()) out["uid"] = notification.uid;
  out["text"] = text ? text->render(notification, as_it_is) : notification.text;
  if (!slots.empty()) out["slots"] = std::move(slots);
  return out;
}

// "RolloutFailed": "rollout-failed".
std::string lower_kebab(std::string_view words) {
  std::string out;
  for (const char c : words) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += '-';
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

// An URI-reference: what is not unreserved is percent-encoded (RFC 3986, 2.1).
std::string source_of(const Notification& notification) {
  std::string out = "/tidemark/sweeper";
  if (!notification.cluster.empty()) out += "/" + net::percent_encode(notification.cluster);
  return out;
}

ordered_json cloud_event(const Notification& notification) {
  return {{"specversion", "1.0"},
          {"id", id_of(notification)},
          {"source", source_of(notification)},
          {"type", "dev.tidemark." + lower_kebab(notification.reason) + ".v1"},
          {"subject", notification.ns + "/" + notification.kind + "/" + notification.workload},
          {"time", to_rfc3339(notification.time)},
          {"datacontenttype", "application/json"},
          {"data", json_of(notification, std::nullopt)}};
}

}  // namespace

Result<Format> parse_format(std::string_view name) {
  const auto found = std::ranges::find(kFormats, name, &FormatName::name);
  if (found != kFormats.end()) return found->format;
  return fail(ErrorKind::kInvalid,
              "no such format: " + brief_quote(name) + " (webhook, slack, cloudevents)");
}

Notification bounded(Notification notification) {
  notification.text = cut(notification.text, kMaxTextBytes);
  if (notification.moves.size() > kMaxMoves) notification.moves.resize(kMaxMoves);
  return notification;
}

std::size_t max_joined(Format format) { return format == Format::kSlack ? kMaxJoined : 1; }

Message message_of(Format format, const std::optional<MessageTemplate>& text,
                   std::span<const Queued> waiting) {
  const Notification& first = *waiting.front();
  switch (format) {
    case Format::kSlack:
      return slack_message(text, waiting);
    case Format::kCloudEvents:
      return {.content_type = "application/cloudevents+json",
              .body = dumped(cloud_event(first)),
              .count = 1};
    case Format::kWebhook:
      break;
  }
  return {.content_type = "application/json", .body = dumped(json_of(first, text)), .count = 1};
}

}  // namespace tidemark::notify
