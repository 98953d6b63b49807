#include "webhook/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "support/fake_clock.h"
#include "support/fake_resolver.h"

namespace tidemark::webhook {
namespace {

using ::testing::HasSubstr;

net::Response call(const net::Handler& handler, std::string_view method, std::string_view path,
                   std::string_view body = "", std::string content_type = "application/json") {
  net::Headers headers;
  if (!content_type.empty()) headers.push_back({"content-type", std::move(content_type)});
  return handler({.method = method, .path = path, .query = "", .headers = headers, .body = body});
}

class ServeTest : public ::testing::Test {
 protected:
  testing::FakeClock clock_;
  testing::FakeResolver resolver_;
  Metrics metrics_;
  PullSecrets secrets_{nullptr, clock_};
  Namespaces namespaces_{nullptr, clock_, metrics_, Logger::none()};
  TemplateSchemas schemas_{nullptr, clock_, metrics_, Logger::none()};
  WorkerPool pool_{1, 1};
  Admitter admitter_{{},          {.resolver = resolver_, .secrets = secrets_, .pool = pool_},
                     namespaces_, schemas_,
                     nullptr,     clock_,
                     metrics_,    Logger::none()};
};

TEST_F(ServeTest, AnswersWrongRequestsInJson) {
  const net::Handler handler = admission_handler(admitter_);
  const struct {
    const char* method;
    const char* path;
    const char* body;
    const char* content_type;
    int status;
  } cases[] = {
      {"POST", "/", "{}", "application/json", 404},
      {"GET", "/mutate", "", "", 405},
      {"PUT", "/mutate", "{}", "application/json", 405},
      {"POST", "/mutate", "{}", "", 415},
      {"POST", "/mutate", "{}", "text/plain", 415},
      {"POST", "/mutate", "{}", "application/jsonp", 415},
      {"POST", "/mutate", "{}", "application/json", 400},
      {"POST", "/mutate", "", "Application/JSON; charset=utf-8", 400},
  };
  for (const auto& wrong : cases) {
    const auto response = call(handler, wrong.method, wrong.path, wrong.body, wrong.content_type);
    EXPECT_EQ(response.status, wrong.status) << wrong.method << wrong.path << wrong.content_type;
    EXPECT_EQ(*net::find_header(response.headers, "Content-Type"), "application/json");
    EXPECT_FALSE(nlohmann::json::parse(response.body)["error"].get<std::string>().empty());
    EXPECT_EQ(net::find_header(response.headers, "Allow") != nullptr, wrong.status == 405);
  }
}

TEST_F(ServeTest, AnswersAReview) {
  const auto response =
      call(admission_handler(admitter_), "POST", "/mutate",
           R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":)"
           R"({"uid":"u","operation":"CREATE","kind":{"kind":"Secret"},"object":{}}})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(nlohmann::json::parse(response.body)["response"],
            nlohmann::json({{"uid", "u"}, {"allowed", true}}));
}

// Of a server only what drain() asks of it, and when.
class DrainedServer : public net::Server {
 public:
  std::uint16_t port() const override { return 0; }
  net::ServerStats stats() const override { return {}; }
  void begin_drain() override { begun = std::chrono::steady_clock::now(); }
  void stop(Deadline deadline) override {
    stopped = std::chrono::steady_clock::now();
    left = deadline.remaining();
  }

  std::optional<std::chrono::steady_clock::time_point> begun, stopped;
  std::chrono::milliseconds left{};
};

TEST(Drain, GoesOnAcceptingForAWhileAndGivesRequestsTheirTime) {
  DrainedServer server;
  drain(server, std::chrono::milliseconds{20}, std::chrono::minutes{5});
  ASSERT_TRUE(server.begun && server.stopped);
  EXPECT_GE(*server.stopped - *server.begun, std::chrono::milliseconds{20});
  EXPECT_GT(server.left, std::chrono::minutes{4});
  EXPECT_LE(server.left, std::chrono::minutes{5});
}

TEST_F(ServeTest, TellsWhetherItIsReadyAndWhyNot) {
  std::string reason = "no certificate yet";
  const net::Handler handler = ops_handler(metrics_, [&] { return reason; });
  EXPECT_EQ(call(handler, "GET", "/healthz").status, 200);
  EXPECT_EQ(call(handler, "GET", "/readyz").status, 503);
  EXPECT_THAT(call(handler, "GET", "/readyz").body, HasSubstr(reason));
  reason.clear();
  EXPECT_EQ(call(handler, "GET", "/readyz").status, 200);
  EXPECT_THAT(call(handler, "GET", "/metrics").body, HasSubstr("tidemark_admissions_in_flight 0"));
  EXPECT_EQ(call(handler, "POST", "/metrics").status, 405);
  EXPECT_EQ(call(handler, "GET", "/").status, 404);
}

}  // namespace
}  // namespace tidemark::webhook
