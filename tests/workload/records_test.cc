#include "workload/records.h"

#include <gtest/gtest.h>

#include <string>

#include "workload/test_data.h"

namespace tidemark::workload {
namespace {

using test::repeated_digest;
using test::stamp_of;

HistoryEntry entry(const std::string& time) {
  return {.time = time,
          .slot = "app",
          .from = stamp_of("app:1", "a1").str(),
          .to = stamp_of("app:1", "b2").str(),
          .why = std::string(kWhyMoved),
          .by = "tidemark-sweeper"};
}

TEST(History, KeepsItsBytes) {
  HistoryEntry first = entry("2026-01-30T08:00:00Z");
  first.from.clear();
  first.why = kWhyCreated;
  first.by = "system:serviceaccount:a:\"b\"";
  const std::string text = dump_history({entry("2026-01-31T08:15:00Z"), first});
  const std::string a1 = repeated_digest("a1").str();
  const std::string b2 = repeated_digest("b2").str();
  EXPECT_EQ(text,
            R"([{"time":"2026-01-31T08:15:00Z","slot":"app","from":"docker.io/library/app:1@)" +
                a1 + R"(","to":"docker.io/library/app:1@)" + b2 +
                R"(","why":"moved","by":"tidemark-sweeper"},)" +
                R"({"time":"2026-01-30T08:00:00Z","slot":"app","to":"docker.io/library/app:1@)" +
                b2 + R"(","why":"created","by":"system:serviceaccount:a:\"b\""}])");
  EXPECT_EQ(dump_history(parse_history(text)), text);
  EXPECT_EQ(dump_history({}), "");
}

TEST(History, KeepsTheNewest) {
  std::vector<HistoryEntry> history;
  for (int i = 0; i < 25; ++i) history = push_history({entry(std::to_string(i))}, history);
  ASSERT_EQ(history.size(), kMaxHistoryEntries);
  EXPECT_EQ(history.front().time, "24");
  EXPECT_EQ(history.back().time, "15");
  EXPECT_EQ(parse_history(dump_history(history)), history);

  std::vector<HistoryEntry> many(12, entry("new"));
  EXPECT_EQ(push_history(many, history),
            std::vector<HistoryEntry>(kMaxHistoryEntries, entry("new")));
}

TEST(History, ReadsOnlyWhatItCan) {
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("{}"), std::string("null"), std::string("[1,"),
        std::string("[null,1,\"a\",[],{}]"), std::string(R"([{"time":"t","slot":"s","to":"x"}])"),
        std::string(R"([{"time":1,"slot":"s","to":"x","why":"moved"}])"),
        std::string(1'000'000, '['), "[" + std::string(kMaxAnnotationsBytes, ' ') + "]",
        std::string("[\"\xff\xfe\"]")}) {
    EXPECT_TRUE(parse_history(text).empty()) << text.substr(0, 100);
  }
  const auto some = parse_history(
      R"([{"time":"t","slot":"s","to":"x","why":"moved","extra":[{}]},{"slot":"s"},{"time":"u","slot":"s","from":7,"to":"","why":"edited","by":"me"}])");
  ASSERT_EQ(some.size(), 2U);
  EXPECT_EQ(some[0].by, "");
  EXPECT_EQ(some[1].by, "me");
  EXPECT_EQ(some[1].from, "");
  std::string long_list = "[";
  for (int i = 0; i < 100; ++i) long_list += R"({"time":"t","slot":"s","to":"x","why":"moved"},)";
  long_list.back() = ']';
  EXPECT_EQ(parse_history(long_list).size(), kMaxHistoryEntries);
}

TEST(History, ListsTheDigestsOfASlot) {
  const std::vector<HistoryEntry> history = {entry("t")};
  EXPECT_TRUE(history_lists(history, "app", repeated_digest("a1")));
  EXPECT_TRUE(history_lists(history, "app", repeated_digest("b2")));
  EXPECT_FALSE(history_lists(history, "app", repeated_digest("c3")));
  EXPECT_FALSE(history_lists(history, "volume/app", repeated_digest("a1")));
  HistoryEntry forged = entry("t");
  forged.from = forged.to = repeated_digest("c3").str();
  EXPECT_FALSE(history_lists({forged}, "app", repeated_digest("c3"))) << "no stamp";
}

TEST(History, SurvivesBytesThatAreNotUtf8) {
  HistoryEntry odd = entry("t");
  odd.by = "a\xff";
  EXPECT_EQ(parse_history(dump_history({odd})).at(0).by, "a\xEF\xBF\xBD");
}

TEST(Held, KeepsItsBytes) {
  const Hold hold{
      .digest = repeated_digest("a1"), .reason = "rolled back", .since = "2026-01-31T08:15:00Z"};
  const Held held = {
      {"volume/data", {hold}}, {"app", {hold, {repeated_digest("b2"), "", ""}}}, {"none", {}}};
  const std::string text = dump_held(held);
  EXPECT_EQ(text, R"({"app":[{"digest":")" + repeated_digest("a1").str() +
                      R"(","reason":"rolled back","since":"2026-01-31T08:15:00Z"},{"digest":")" +
                      repeated_digest("b2").str() +
                      R"(","reason":"","since":""}],"volume/data":[{"digest":")" +
                      repeated_digest("a1").str() +
                      R"(","reason":"rolled back","since":"2026-01-31T08:15:00Z"}]})");
  Held expected = held;
  expected.erase("none");
  EXPECT_EQ(parse_held(text), expected);
  EXPECT_TRUE(is_held(held, "app", repeated_digest("b2")));
  EXPECT_FALSE(is_held(held, "volume/data", repeated_digest("b2")));
  EXPECT_FALSE(is_held(held, "other", repeated_digest("a1")));
  EXPECT_EQ(dump_held({}), "");
  EXPECT_EQ(dump_held({{"app", {}}}), "");
}

TEST(Held, ReadsOnlyWhatItCanAndNotWithoutBound) {
  EXPECT_TRUE(parse_held(R"({"app":"x","b":[],"c":[{"digest":"sha256:1"}],"d":[1,null]})").empty());
  EXPECT_TRUE(parse_held("[]").empty());
  EXPECT_TRUE(parse_held("").empty());
  std::string holds = R"({"app":[)";
  for (int i = 0; i < 100; ++i) holds += R"({"digest":")" + repeated_digest("a1").str() + R"("},)";
  holds.back() = ']';
  EXPECT_EQ(parse_held(holds + "}").at("app").size(), 16U);
}

TEST(Unstamped, RoundTrips) {
  const Unstamped unstamped = {{"app", "registry.local: connection refused"},
                               {"volume/x", "\"quoted\""}};
  EXPECT_EQ(dump_unstamped(unstamped),
            R"({"app":"registry.local: connection refused","volume/x":"\"quoted\""})");
  EXPECT_EQ(parse_unstamped(dump_unstamped(unstamped)), unstamped);
  EXPECT_EQ(dump_unstamped({}), "");
  EXPECT_EQ(parse_unstamped(R"({"a":1,"b":"why"})"), (Unstamped{{"b", "why"}}));
  std::string many = "{";
  for (int i = 0; i < 5000; ++i) many += "\"s" + std::to_string(i) + "\":\"\",";
  many.back() = '}';
  EXPECT_EQ(parse_unstamped(many).size(), 1000U);
}

TEST(Baseline, RoundTrips) {
  const Baseline baseline = {{"app", stamp_of("app:1", "a1")}, {"volume/x", stamp_of("x:2", "b2")}};
  EXPECT_EQ(parse_baseline(dump_baseline(baseline)), baseline);
  EXPECT_EQ(dump_baseline({{"app", stamp_of("app:1", "a1")}}),
            R"({"app":"docker.io/library/app:1@)" + repeated_digest("a1").str() + R"("})");
  EXPECT_EQ(dump_baseline({}), "");
  EXPECT_TRUE(parse_baseline(R"({"app":"nginx:1","b":7})").empty());
}

TEST(WrittenImages, RoundTrip) {
  const WrittenImages images = {{"app", "nginx:1.27"}, {"volume/x", "team/data"}};
  EXPECT_EQ(parse_written_images(dump_written_images(images)), images);
  EXPECT_EQ(dump_written_images({}), "");
  EXPECT_TRUE(parse_written_images(R"({"app":7})").empty());
}

TEST(WrittenImages, WhatAPolicyHasLeftBehind) {
  const WrittenImages images = {{"app", "app:1"}};
  const auto entry = [](const char* slot, const Stamp& from, const Stamp& to, const char* why) {
    return HistoryEntry{
        .time = "", .slot = slot, .from = from.str(), .to = to.str(), .why = why, .by = ""};
  };
  const std::vector<HistoryEntry> history = {
      entry("app", stamp_of("app:2", "b2"), stamp_of("app:3", "c3"), "policy"),
      entry("app", stamp_of("app:7", "a1"), stamp_of("app:2", "b2"), "edited"),
      entry("log", stamp_of("app:8", "a1"), stamp_of("app:9", "b2"), "policy")};
  const auto left = [&](const char* image, const char* slot = "app") {
    return is_left_behind(images, history, slot, image::Reference::parse(image).value());
  };
  EXPECT_TRUE(left("docker.io/library/app:1")) << "as its owner wrote it";
  EXPECT_TRUE(left("app:2")) << "an earlier choice";
  EXPECT_FALSE(left("app:3")) << "what stands";
  EXPECT_FALSE(left("app:7")) << "what its owner left";
  EXPECT_FALSE(left("app:8", "log")) << "without a record of the owner's";
}

}  // namespace
}  // namespace tidemark::workload
