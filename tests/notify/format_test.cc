#include "notify/format.h"

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "notify/sample.h"

namespace tidemark::notify {
namespace {

using nlohmann::json;
using testing::sample;
using testing::standing;

Message message(Format format, const std::vector<Notification>& notifications,
                const char* text = nullptr) {
  std::vector<Queued> waiting;
  for (const Notification& each : notifications) {
    waiting.push_back(std::make_shared<const Notification>(each));
  }
  std::optional<MessageTemplate> made;
  if (text != nullptr) made = MessageTemplate::parse(text).value();
  return message_of(format, made, waiting);
}

std::string slack(const Notification& notification, const char* text = nullptr) {
  return json::parse(message(Format::kSlack, {notification}, text).body)["text"];
}

// Names of what Kubernetes would refuse, and texts that a registry may send.
constexpr const char* kHostile = "a\"b\\c\n\x01\x7f<!channel> <@U1> & @Channel @all";

TEST(Format, Names) {
  EXPECT_EQ(parse_format("webhook").value(), Format::kWebhook);
  EXPECT_EQ(parse_format("slack").value(), Format::kSlack);
  EXPECT_EQ(parse_format("cloudevents").value(), Format::kCloudEvents);
  EXPECT_NE(parse_format("Slack").error().message.find("(webhook, slack, cloudevents)"),
            std::string::npos);
}

TEST(Webhook, HasWhatThereIs) {
  const Message one = message(Format::kWebhook, {sample()});
  EXPECT_EQ(one.content_type, "application/json");
  EXPECT_EQ(one.count, 1U);
  EXPECT_EQ(
      one.body,
      R"({"id":")" + id_of(sample()) +
          R"(","time":"2026-01-01T00:00:00Z","reason":"Rolled","warning":false,"apiVersion":"apps/v1",)"
          R"("kind":"Deployment","namespace":"team-a","workload":"web","uid":"u1",)"
          R"("text":"app moved aaaaaaaaaaaa -> bbbbbbbbbbbb","slots":[{"slot":"app",)"
          R"("image":"registry.test/app:1",)"
          R"("from":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",)"
          R"("to":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}]})");
}

TEST(Webhook, LeavesOutWhatThereIsNotAndNamesTheCluster) {
  Notification bare = sample();
  bare.uid = "";
  bare.moves = {{.slot = "app", .image = "i", .from = "", .to = ""}};
  bare.cluster = "prod";
  bare.warning = true;
  json body = json::parse(message(Format::kWebhook, {bare}).body);
  EXPECT_FALSE(body.contains("uid"));
  EXPECT_EQ(body["slots"], json::parse(R"([{"slot":"app","image":"i"}])"));
  EXPECT_EQ(body["cluster"], "prod");
  EXPECT_TRUE(body["warning"]);
  bare.moves.clear();
  EXPECT_FALSE(json::parse(message(Format::kWebhook, {bare}).body).contains("slots"));
}

TEST(Webhook, WritesTheOperatorsText) {
  const json body =
      json::parse(message(Format::kWebhook, {sample()}, "{workload} & \"{namespace}\" {{").body);
  EXPECT_EQ(body["text"], "web & \"team-a\" {");
  EXPECT_EQ(body["workload"], "web");
}

TEST(Webhook, SendsOneAtATime) {
  EXPECT_EQ(max_joined(Format::kWebhook), 1U);
  EXPECT_EQ(max_joined(Format::kCloudEvents), 1U);
}

TEST(Webhook, QuotesWhateverIsInANameOrText) {
  Notification hostile = sample(kHostile);
  hostile.text = kHostile + std::string("\xff\xfe");
  const json body = json::parse(message(Format::kWebhook, {hostile}).body);
  EXPECT_EQ(body["workload"], kHostile);
  EXPECT_EQ(body["text"], kHostile + std::string("\xEF\xBF\xBD\xEF\xBF\xBD"));
}

TEST(Slack, IsOneLineOfText) {
  EXPECT_EQ(
      message(Format::kSlack, {sample()}).body,
      R"({"text":"*Rolled* Deployment team-a/web: app moved aaaaaaaaaaaa -&gt; bbbbbbbbbbbb"})");
  Notification named = sample();
  named.cluster = "prod<1>";
  EXPECT_TRUE(slack(named).starts_with("[prod&lt;1&gt;] *Rolled* Deployment ")) << slack(named);
}

TEST(Slack, NothingOfAValueIsMarkupOrAMention) {
  const std::string safe =
      "a\"b\\c   &lt;!channel&gt; &lt;@U1&gt; &amp; @\xE2\x80\x8B"
      "Channel @\xE2\x80\x8B"
      "all";
  Notification hostile = sample(kHostile);
  hostile.text = "image@sha256:0";
  EXPECT_EQ(slack(hostile), "*Rolled* Deployment team-a/" + safe + ": image@sha256:0");
  // What the operator wrote may call people.
  EXPECT_EQ(slack(hostile, "<!here> {workload}"), "<!here> " + safe);
}

TEST(Slack, JoinsWhatWaitsUpToABound) {
  const std::vector<Notification> three(3, sample());
  const Message joined = message(Format::kSlack, three, "{workload}");
  EXPECT_EQ(joined.body, R"({"text":"web\nweb\nweb"})");
  EXPECT_EQ(joined.count, 3U);
  const std::vector<Notification> many(60, sample(std::string(253, 'w')));
  const Message full = message(Format::kSlack, many, "{workload}");
  EXPECT_EQ(full.count, 15U);  // 15 * 253 and 14 newlines; 16 would be 4,063
  EXPECT_LE(full.body.size(), kMaxSlackBytes + 20);
}

TEST(Slack, ALineAloneIsCutToTheBound) {
  const Message one =
      message(Format::kSlack, std::vector<Notification>(2, sample(std::string(3999, 'x') + "ä")),
              "{workload}");
  EXPECT_EQ(one.count, 1U);
  EXPECT_EQ(json::parse(one.body)["text"].get<std::string>(), std::string(3999, 'x'));
}

TEST(CloudEvents, AreStructuredJson) {
  Notification failed = standing("RolloutFailed", "u1 sha256:bb");
  failed.cluster = "prod 1";
  failed.moves.clear();
  const Message one = message(Format::kCloudEvents, {failed});
  EXPECT_EQ(one.content_type, "application/cloudevents+json");
  EXPECT_EQ(
      one.body,
      R"({"specversion":"1.0","id":")" + id_of(failed) +
          R"(","source":"/tidemark/sweeper/prod%201","type":"dev.tidemark.rollout-failed.v1",)"
          R"("subject":"team-a/Deployment/web","time":"2026-01-01T00:00:00Z",)"
          R"("datacontenttype":"application/json","data":{"id":")" +
          id_of(failed) +
          R"(","time":"2026-01-01T00:00:00Z","cluster":"prod 1","reason":"RolloutFailed",)"
          R"("warning":true,"apiVersion":"apps/v1","kind":"Deployment","namespace":"team-a",)"
          R"("workload":"web","uid":"u1","text":"app moved aaaaaaaaaaaa -> bbbbbbbbbbbb"}})");
}

TEST(CloudEvents, EachReasonIsAType) {
  const auto type = [](const char* reason) {
    Notification each = sample();
    each.reason = reason;
    return json::parse(message(Format::kCloudEvents, {each}).body)["type"].get<std::string>();
  };
  EXPECT_EQ(type("Rolled"), "dev.tidemark.rolled.v1");
  EXPECT_EQ(type("RollFailed"), "dev.tidemark.roll-failed.v1");
  EXPECT_EQ(type("RolledBack"), "dev.tidemark.rolled-back.v1");
  EXPECT_EQ(type("Moved"), "dev.tidemark.moved.v1");
}

TEST(Id, IsTheSameForTheSameAlone) {
  EXPECT_EQ(id_of(sample()), id_of(sample()));
  Notification later = sample();
  later.time += std::chrono::milliseconds{1};
  EXPECT_NE(id_of(sample()), id_of(later));
  EXPECT_NE(id_of(sample()), id_of(sample("other")));
  // A state that stands is the same at any time, whatever is said of it.
  Notification seen = standing("Moved", "u1 app sha256:bb held");
  Notification seen_again = seen;
  seen_again.time = later.time;
  seen_again.text = "another cause";
  EXPECT_EQ(id_of(seen), id_of(seen_again));
  EXPECT_NE(id_of(seen), id_of(standing("Moved", "u1 app sha256:cc held")));
  EXPECT_NE(id_of(seen), id_of(standing("RollFailed", "u1 app sha256:bb held")));
}

TEST(Bounds, AreKeptInTheQueue) {
  Notification big = sample();
  big.text = std::string(1023, 'x') + "ä" + std::string(100'000, 'y');
  big.moves.resize(1000);
  const Notification kept = bounded(big);
  EXPECT_EQ(kept.text, std::string(1023, 'x'));
  EXPECT_EQ(kept.moves.size(), kMaxMoves);
}

TEST(Reason, IsOneThatExists) {
  EXPECT_EQ(parse_reason("Moved").value(), "Moved");
  EXPECT_NE(parse_reason("moved").error().message.find("\"moved\" (Rolled, RollFailed"),
            std::string::npos);
}

}  // namespace
}  // namespace tidemark::notify
