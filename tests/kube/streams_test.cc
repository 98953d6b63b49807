#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "kube/list_stream.h"
#include "kube/status.h"
#include "kube/timestamp.h"
#include "kube/watch.h"

namespace tidemark::kube {
namespace {

// `size`: of the pieces that it arrives in.
Result<PageInfo> read(std::string_view body, std::vector<std::string>& items,
                      std::size_t size = 4096) {
  const Api::ItemSink sink = [&](std::string_view item) -> Status {
    items.emplace_back(item);
    return {};
  };
  ListStream stream(sink);
  for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
    if (!stream.push(body.substr(0, size))) break;
  }
  return stream.finish();
}

TEST(List, HandsOutTheItemsAsTheyWereWritten) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{4096}}) {
    std::vector<std::string> items;
    const auto page = read(
        R"({"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"42",)"
        R"("continue":"tok\u0065n","remainingItemCount":3},"items" : [ {"a": {"b":[1,2,{"c":"}"}]}} ,)"
        "\n"
        R"({"metadata":{"name":"x\"]}\\"}}, {} ]})",
        items, size);
    ASSERT_TRUE(page) << page.error().message;
    EXPECT_EQ(page->resource_version, "42");
    EXPECT_EQ(page->continue_token, "token");
    EXPECT_EQ(page->items, 3U);
    EXPECT_EQ(items, (std::vector<std::string>{R"({"a": {"b":[1,2,{"c":"}"}]}})",
                                               R"({"metadata":{"name":"x\"]}\\"}})", "{}"}));
  }
}

TEST(List, HandsAnItemOutBeforeThePageEnds) {
  int seen = 0;
  const Api::ItemSink sink = [&](std::string_view) -> Status {
    ++seen;
    return {};
  };
  ListStream stream(sink);
  EXPECT_TRUE(stream.push(R"({"metadata":{},"items":[{"a":1},{"b")"));
  EXPECT_EQ(seen, 1);
  EXPECT_TRUE(stream.push(":2}"));
  EXPECT_EQ(seen, 2);
  const auto page = stream.finish();
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().message, "list page: it ends within the items");
}

TEST(List, AnyOrderOfFieldsAndNullItems) {
  std::vector<std::string> items;
  auto page = read(R"({"items":[{"n":1}],"extra":[[]],"metadata":{"resourceVersion":"7"}})", items);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->resource_version, "7");
  EXPECT_EQ(items.size(), 1U);
  page = read(R"({"items":null,"metadata":{"resourceVersion":"8","continue":null}})", items);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->items, 0U);
}

TEST(List, OnlyItsOwnItemsAreItems) {
  std::vector<std::string> items;
  const auto page = read(
      R"({"a":{"items":[{"n":1}]},"x\"items":[{}],"y":"\"items\":[{}","items":[{"n":2}]})", items);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(items, std::vector<std::string>{R"({"n":2})"});
}

TEST(List, RefusesWhatIsNoList) {
  for (const char* body :
       {"", "[]", "{}", "null", R"({"items":{}})", R"({"items":[1]})", R"({"items":[0]})",
        R"({"items":[{"a":1})", R"({"items":[{} {}]})", R"({"items":[{},]})", R"({"items":[{}])",
        R"({"items":[{}]}})", R"({"items":[{}],"items":[{}]})", R"(["items":[{}]])",
        R"({"items":[{}],"metadata":{"continue":7}})", R"({"items":[],"metadata":[]})",
        "<html>busy</html>"}) {
    std::vector<std::string> items;
    const auto page = read(body, items);
    ASSERT_FALSE(page) << body;
    EXPECT_EQ(page.error().kind, ErrorKind::kInvalid) << body;
  }
}

TEST(List, BoundsWhatItKeeps) {
  std::vector<std::string> items;
  const auto wide = read(R"({"metadata":{"x":")" + std::string(kMaxFrameBytes, 'x'), items);
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().kind, ErrorKind::kTooLarge);
  const auto commas = read(R"({"items":[)" + std::string(kMaxFrameBytes, ','), items);
  ASSERT_FALSE(commas);
  EXPECT_EQ(commas.error().kind, ErrorKind::kInvalid);
  const auto item = read(R"({"items":[{")" + std::string(kMaxWatchLineBytes, 'x'), items);
  ASSERT_FALSE(item);
  EXPECT_EQ(item.error().kind, ErrorKind::kTooLarge);
  EXPECT_TRUE(items.empty());
}

TEST(List, AnErrorOfTheSinkEndsIt) {
  int seen = 0;
  const Api::ItemSink sink = [&](std::string_view) -> Status {
    if (++seen == 2) return fail(ErrorKind::kInternal, "enough");
    return {};
  };
  ListStream stream(sink);
  EXPECT_FALSE(stream.push(R"({"items":[{},{},{}]})"));
  EXPECT_EQ(stream.finish().error().message, "enough");
  EXPECT_EQ(seen, 2);
}

TEST(Watch, JoinsPiecesToEvents) {
  const std::string body =
      R"({"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","resourceVersion":"5"}}})"
      "\n"
      R"({"object":{"metadata":{"resourceVersion":"6"},"spec":{"x":[1]}},"type":"MODIFIED"})"
      "\r\n\n"
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}})"
      "\n"
      R"({"type":"DELETED","object":{"metadata":{"resourceVersion":"10"}}})"
      "\n";
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, body.size()}) {
    std::vector<std::pair<WatchEvent, std::string>> events;
    const Api::EventSink sink = [&](WatchEvent type, std::string_view object) {
      events.emplace_back(type, object);
      return true;
    };
    WatchStream stream("4", sink);
    EXPECT_FALSE(stream.progressed());
    for (std::size_t at = 0; at < body.size(); at += size) {
      ASSERT_TRUE(stream.push(std::string_view(body).substr(at, size)));
    }
    EXPECT_EQ(stream.resource_version(), "10");
    ASSERT_EQ(events.size(), 4U);
    EXPECT_EQ(events[0].first, WatchEvent::kAdded);
    EXPECT_EQ(events[0].second, R"({"kind":"Pod","metadata":{"name":"a","resourceVersion":"5"}})");
    EXPECT_EQ(events[1].first, WatchEvent::kModified);
    EXPECT_EQ(events[1].second, R"({"metadata":{"resourceVersion":"6"},"spec":{"x":[1]}})");
    EXPECT_EQ(events[2].first, WatchEvent::kBookmark);
    EXPECT_EQ(events[3].first, WatchEvent::kDeleted);
  }
}

TEST(Watch, AnErrorEventAndBrokenLinesEndIt) {
  const Api::EventSink sink = [](WatchEvent, std::string_view) { return true; };
  WatchStream gone("4", sink);
  EXPECT_FALSE(
      gone.push(R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}})"
                "\n"));
  ASSERT_TRUE(gone.failure());
  EXPECT_EQ(gone.failure()->kind, ErrorKind::kGone);
  EXPECT_EQ(gone.failure()->message, "too old");

  WatchStream broken("4", sink);
  EXPECT_FALSE(broken.push("{\"type\":\n"));
  EXPECT_EQ(broken.failure()->kind, ErrorKind::kInvalid);

  WatchStream endless("4", sink);
  const std::string piece(std::size_t{1} << 20, 'x');
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(endless.push(piece));
  EXPECT_FALSE(endless.push("x"));
  EXPECT_EQ(endless.failure()->kind, ErrorKind::kTooLarge);
}

TEST(Watch, TheSinkMayEndIt) {
  int seen = 0;
  const Api::EventSink sink = [&](WatchEvent, std::string_view) { return ++seen < 1; };
  WatchStream stream("4", sink);
  EXPECT_FALSE(
      stream.push("{\"type\":\"ADDED\",\"object\":{}}\n{\"type\":\"ADDED\",\"object\":{}}\n"));
  EXPECT_FALSE(stream.failure());
  EXPECT_EQ(seen, 1);
}

TEST(StatusObject, BecomesTheErrorThatCallersTellApart) {
  struct Row {
    int code;
    const char* body;
    ErrorKind kind;
  };
  const char* causes =
      R"({"kind":"Status","reason":"Invalid","message":"m","details":{"causes":[{"reason":"x"}]}})";
  const char* failed_test = R"({"kind":"Status","reason":"Invalid","message":"m","details":{}})";
  const std::vector<Row> rows{
      {400, "{}", ErrorKind::kInvalid},         {401, "Unauthorized", ErrorKind::kUnauthorized},
      {403, "{}", ErrorKind::kForbidden},       {404, "404 page not found", ErrorKind::kNotFound},
      {405, "", ErrorKind::kInvalid},           {408, "", ErrorKind::kTimeout},
      {409, "{}", ErrorKind::kConflict},        {410, "{}", ErrorKind::kGone},
      {413, "", ErrorKind::kTooLarge},          {422, causes, ErrorKind::kInvalid},
      {422, failed_test, ErrorKind::kConflict}, {422, "no status", ErrorKind::kInvalid},
      {429, "", ErrorKind::kTooMany},           {500, "{}", ErrorKind::kUnavailable},
      {503, "[[[", ErrorKind::kUnavailable},    {504, "{}", ErrorKind::kTimeout},
      {302, "", ErrorKind::kUnavailable},
  };
  for (const Row& row : rows) {
    const auto failure =
        describe_failure(net::Response{.status = row.code, .headers = {}, .body = row.body}, {});
    EXPECT_EQ(failure.error.kind, row.kind) << row.code << " " << row.body;
    EXPECT_EQ(failure.error.http_status, row.code);
    EXPECT_FALSE(failure.error.message.empty());
  }
}

TEST(StatusObject, WhatAPodAnswersThroughTheProxyIsToldToo) {
  const auto failure = describe_failure(
      net::Response{.status = 503, .headers = {}, .body = R"({"error":"another replica leads"})"},
      {});
  EXPECT_EQ(failure.error.kind, ErrorKind::kUnavailable);
  EXPECT_EQ(failure.error.message, "another replica leads");
}

TEST(StatusObject, MessageIsOneBoundedLineAndRetryAfterIsKept) {
  const std::string body = R"({"kind":"Status","message":"a\nb )" + std::string(5000, 'x') +
                           R"(","details":{"retryAfterSeconds":3}})";
  auto failure = describe_failure(net::Response{.status = 429, .headers = {}, .body = body}, {});
  EXPECT_TRUE(failure.error.message.starts_with("a b xxx"));
  EXPECT_LE(failure.error.message.size(), 1027U);
  EXPECT_EQ(failure.error.retry_after, std::chrono::seconds(3));
}

TEST(Time, WritesMicroTimeAndReadsRfc3339) {
  const WallTime time{std::chrono::seconds(1'767'225'600) + std::chrono::microseconds(42)};
  EXPECT_EQ(to_micro_time(time), "2026-01-01T00:00:00.000042Z");
  const WallTime whole{std::chrono::seconds(1'767'225'600)};
  for (const char* text : {"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789Z",
                           "2026-01-01T02:30:00+02:30", "2025-12-31T23:00:00-01:00"}) {
    const auto parsed = parse_rfc3339(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, whole) << text;
  }
  for (const char* bad :
       {"", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00+2",
        "x026-01-01T00:00:00Z", "2026-01-01T00:00:00.", "-026-01-01T00:00:00Z"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
}

}  // namespace
}  // namespace tidemark::kube
