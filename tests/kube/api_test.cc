#include "kube/api.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kube/http_api.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"

namespace tidemark::kube {
namespace {

using tidemark::testing::reply;

constexpr const char* kPods = "https://api.test:6443/api/v1/pods";

class ApiTest : public ::testing::Test {
 protected:
  void SetUp() override { connect({}); }

  void connect(ClusterConfig config) {
    config.server = *net::Url::parse("https://api.test:6443");
    auto made = make_http_api(
        std::move(config),
        [this](const std::optional<net::KeyPair>&) -> Result<std::shared_ptr<net::HttpClient>> {
          return http;
        },
        clock, metrics, Logger::none());
    ASSERT_TRUE(made);
    api = *std::move(made);
  }

  Result<ListResult> list(const ListOptions& options = {}) {
    return api->list(
        "/api/v1/pods", options,
        [this](std::string_view item) -> Status {
          items.emplace_back(item);
          return {};
        },
        deadline);
  }

  std::shared_ptr<tidemark::testing::FakeHttpClient> http =
      std::make_shared<tidemark::testing::FakeHttpClient>();
  std::shared_ptr<tidemark::testing::FakeClock> clock =
      std::make_shared<tidemark::testing::FakeClock>();
  Metrics metrics;
  std::unique_ptr<Api> api;
  Deadline deadline = Deadline::after(std::chrono::seconds(10));
  std::vector<std::string> items;
};

TEST(ResourcePath, CoversGroupsNamespacesAndNames) {
  EXPECT_EQ(resource_path("v1", "pods"), "/api/v1/pods");
  EXPECT_EQ(resource_path("v1", "secrets", "a", "b"), "/api/v1/namespaces/a/secrets/b");
  EXPECT_EQ(resource_path("apps/v1", "deployments", "team-a", "web"),
            "/apis/apps/v1/namespaces/team-a/deployments/web");
  EXPECT_EQ(resource_path("v1", "secrets", "a", "../x?y"),
            "/api/v1/namespaces/a/secrets/..%2Fx%3Fy");
}

TEST_F(ApiTest, TheServersClockIsThatOfItsLastAnswer) {
  using std::chrono::seconds;
  const WallTime date{seconds{784'111'777}};
  EXPECT_EQ(api->server_time(), std::nullopt);
  http->push("GET", kPods, reply(404, "{}", {{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}}));
  EXPECT_FALSE(api->get("/api/v1/pods", deadline));
  EXPECT_EQ(api->server_time(), date);
  clock->advance(seconds{90});
  EXPECT_EQ(api->server_time(), date + seconds{90});
  for (const char* useless : {"", "yesterday"}) {
    http->push("GET", kPods, reply(200, "{}", {{"Date", useless}}));
    EXPECT_TRUE(api->get("/api/v1/pods", deadline));
    EXPECT_EQ(api->server_time(), date + seconds{90}) << useless;
  }
}

TEST_F(ApiTest, ListFollowsContinueTokens) {
  http->push(
      "GET", std::string(kPods) + "?limit=2&labelSelector=a%3Db",
      reply(200,
            R"({"metadata":{"resourceVersion":"7","continue":"t/1"},"items":[{"n":1},{"n":2}]})"));
  http->push("GET", std::string(kPods) + "?limit=2&labelSelector=a%3Db&continue=t%2F1",
             reply(200, R"({"metadata":{"resourceVersion":"7"},"items":[{"n":3}]})"));
  const auto result = list({.label_selector = "a=b", .field_selector = "", .limit = 2});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(items, (std::vector<std::string>{R"({"n":1})", R"({"n":2})", R"({"n":3})"}));
  EXPECT_EQ(result->pages, 2U);
  EXPECT_EQ(result->items, 3U);
  EXPECT_EQ(result->resource_version, "7");
  for (const auto& request : http->requests()) {
    EXPECT_EQ(*net::find_header(request.headers, "Accept"), "application/json");
    EXPECT_EQ(request.url.target.find("resourceVersion"), std::string::npos);
    EXPECT_EQ(request.max_body_bytes, std::size_t{1024} * 1024) << "of what is no list";
  }
}

TEST_F(ApiTest, AnExpiredContinueTokenGoesOnOnceWhereTheServerOffersIt) {
  const char* gone =
      R"({"kind":"Status","code":410,"reason":"Expired","message":"old","metadata":{"continue":"new"}})";
  http->push(
      "GET", std::string(kPods) + "?limit=500",
      reply(200, R"({"metadata":{"resourceVersion":"7","continue":"old"},"items":[{"n":1}]})"));
  http->push("GET", std::string(kPods) + "?limit=500&continue=old", reply(410, gone));
  http->push(
      "GET", std::string(kPods) + "?limit=500&continue=new",
      reply(200, R"({"metadata":{"resourceVersion":"9","continue":"last"},"items":[{"n":2}]})"));
  http->push("GET", std::string(kPods) + "?limit=500&continue=last", reply(410, gone));
  const auto result = list();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kGone);
  EXPECT_EQ(items.size(), 2U);
  EXPECT_TRUE(http->unexpected().empty());
}

TEST_F(ApiTest, AfterAnInconsistentContinuationAWatchStartsAtTheFirstPage) {
  http->push("GET", std::string(kPods) + "?limit=500",
             reply(200, R"({"metadata":{"resourceVersion":"7","continue":"old"},"items":[]})"));
  http->push("GET", std::string(kPods) + "?limit=500&continue=old",
             reply(410, R"({"kind":"Status","metadata":{"continue":"new"}})"));
  http->push("GET", std::string(kPods) + "?limit=500&continue=new",
             reply(200, R"({"metadata":{"resourceVersion":"9"},"items":[{}]})"));
  const auto result = list();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->resource_version, "7");
}

TEST_F(ApiTest, WritesNameTypeManagerAndDryRun) {
  const std::string url = "https://api.test:6443/api/v1/namespaces/a/secrets";
  http->push("POST", url, reply(201, "{}"));
  http->push("PUT", url + "/b", reply(200, "{}"));
  http->push("PATCH", url + "/b?fieldManager=tidemark", reply(200, R"({"x":1})"));
  http->push("PATCH", url + "/b?fieldManager=me&dryRun=All", reply(200, "{}"));
  http->push("DELETE", url + "/b", reply(200, "{}"));
  EXPECT_TRUE(api->create("/api/v1/namespaces/a/secrets", "{1}", deadline));
  EXPECT_TRUE(api->update("/api/v1/namespaces/a/secrets/b", "{2}", deadline));
  EXPECT_EQ(api->patch("/api/v1/namespaces/a/secrets/b", "[3]", {}, deadline).value_or(""),
            R"({"x":1})");
  EXPECT_TRUE(api->patch(
      "/api/v1/namespaces/a/secrets/b", "{4}",
      {.content_type = "application/merge-patch+json", .field_manager = "me", .dry_run = true},
      deadline));
  EXPECT_TRUE(api->remove("/api/v1/namespaces/a/secrets/b", deadline));
  const auto requests = http->requests();
  ASSERT_EQ(requests.size(), 5U);
  EXPECT_EQ(requests[0].body, "{1}");
  EXPECT_EQ(*net::find_header(requests[1].headers, "Content-Type"), "application/json");
  EXPECT_EQ(*net::find_header(requests[2].headers, "Content-Type"), "application/json-patch+json");
  EXPECT_EQ(*net::find_header(requests[3].headers, "Content-Type"), "application/merge-patch+json");
  EXPECT_EQ(metrics
                .counter("tidemark_kube_requests_total",
                         "Requests to the Kubernetes API by verb and code.")
                .with({{"verb", "patch"}, {"code", "200"}})
                .value(),
            2);
}

TEST_F(ApiTest, AWriteIsNeverRepeated) {
  http->push("PATCH", "https://api.test:6443/api/v1/x?fieldManager=tidemark",
             fail(ErrorKind::kUnavailable, "reset"));
  const auto answer = api->patch("/api/v1/x", "[]", {}, deadline);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(http->count(), 1U);
}

TEST_F(ApiTest, AStaticTokenIsSentAndA401IsFinal) {
  ClusterConfig config;
  config.token = "secret";
  connect(config);
  http->push("GET", kPods, reply(401, "Unauthorized"));
  const auto answer = api->get("/api/v1/pods", deadline);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
  ASSERT_EQ(http->count(), 1U);
  EXPECT_EQ(*net::find_header(http->requests()[0].headers, "Authorization"), "Bearer secret");
}

TEST_F(ApiTest, WatchDeliversEventsAndTheVersionToGoOnFrom) {
  const std::string url =
      std::string(kPods) + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=4";
  http->push_stream("GET", url,
                    {.pieces = {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resource",
                                "Version\":\"5\"}}}\n"}});
  int events = 0;
  const Api::EventSink count = [&](WatchEvent, std::string_view) {
    ++events;
    return true;
  };
  auto end =
      api->watch("/api/v1/pods",
                 {.label_selector = "", .field_selector = "", .resource_version = "4"}, count, {});
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(*end, "5");
  EXPECT_EQ(events, 1);

  // Broken after progress: go on from there. Broken before: an error.
  const WatchOptions from4{.label_selector = "", .field_selector = "", .resource_version = "4"};
  http->push_stream("GET", url,
                    {.pieces = {"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{"
                                "\"resourceVersion\":\"8\"}}}\n"},
                     .end = Error{.kind = ErrorKind::kUnavailable, .message = "reset"}});
  EXPECT_EQ(api->watch("/api/v1/pods", from4, count, {}).value_or("?"), "8");
  http->push_stream("GET", url,
                    {.end = Error{.kind = ErrorKind::kUnavailable, .message = "reset"}});
  EXPECT_FALSE(api->watch("/api/v1/pods", from4, count, {}));

  // Both ways to say that the version is too old.
  http->push("GET", url, reply(410, R"({"kind":"Status","message":"too old"})"));
  EXPECT_EQ(api->watch("/api/v1/pods", from4, count, {}).error().kind, ErrorKind::kGone);
  http->push_stream(
      "GET", url,
      {.pieces = {"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n"}});
  EXPECT_EQ(api->watch("/api/v1/pods", from4, count, {}).error().kind, ErrorKind::kGone);
}

TEST_F(ApiTest, AServerPrefixIsKept) {
  ClusterConfig config;
  auto made = make_http_api(
      [] {
        ClusterConfig behind_rancher;
        behind_rancher.server = *net::Url::parse("https://api.test:6443/k8s/clusters/c1/");
        return behind_rancher;
      }(),
      [this](const std::optional<net::KeyPair>&) -> Result<std::shared_ptr<net::HttpClient>> {
        return http;
      },
      clock, metrics, Logger::none());
  ASSERT_TRUE(made);
  http->push("GET", "https://api.test:6443/k8s/clusters/c1/version", reply(200, "{}"));
  EXPECT_TRUE((*made)->get("/version", deadline));
}

}  // namespace
}  // namespace tidemark::kube
