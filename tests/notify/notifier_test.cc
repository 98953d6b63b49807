#include "notify/notifier.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "net/server.h"
#include "notify/sample.h"
#include "support/fake_clock.h"

namespace tidemark::notify {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using testing::sample;
using testing::standing;
using tidemark::testing::FakeClock;

class NotifierTest : public ::testing::Test {
 protected:
  NotifierTest() {
    server = std::move(net::Server::start(
                           {.listen = "127.0.0.1:0"},
                           [this](const net::ServerRequest& request) {
                             const std::lock_guard lock(mutex);
                             bodies[std::string(request.path)].push_back(json::parse(request.body));
                             return net::Response{.status = 200, .headers = {}, .body = ""};
                           },
                           Logger::none())
                           .value());
    // One request alone: with its first, httplib's library fills a static table under a guard that
    // ThreadSanitizer cannot see, for the library is not instrumented.
    open({to("first")});
    notifier->tell({sample()});
    EXPECT_EQ(got("first").size(), 1U);
  }
  Subscription to(const std::string& name) const {
    return {.sink = {.name = name,
                     .url = net::Url::parse("http://127.0.0.1:" + std::to_string(server->port()) +
                                            "/" + name)
                                .value()},
            .client = {.trust = {.system_roots = false}},
            .reasons = {kReasons.begin(), kReasons.end()},
            .namespaces = {}};
  }
  void open(std::vector<Subscription> subscriptions, const std::string& cluster = "") {
    notifier =
        Notifier::make(cluster, std::move(subscriptions), clock, metrics, Logger::none()).value();
  }
  std::vector<json> got(const std::string& name) {
    EXPECT_TRUE(notifier->flush(Deadline::after(20s)));
    const std::lock_guard lock(mutex);
    return bodies["/" + name];
  }

  FakeClock clock;
  Metrics metrics;
  std::mutex mutex;
  std::map<std::string, std::vector<json>> bodies;
  std::unique_ptr<net::Server> server;
  std::unique_ptr<Notifier> notifier;
};

TEST_F(NotifierTest, EachSinkGetsWhatItWantsToHear) {
  Subscription failures = to("failures");
  failures.reasons = {"RollFailed"};
  Subscription team = to("team");
  team.namespaces = {"team-b"};
  open({to("all"), failures, team}, "prod");
  Notification of_b = sample("of-b");
  of_b.ns = "team-b";
  notifier->tell({sample(), of_b, standing("RollFailed", "s")});
  EXPECT_EQ(got("all").size(), 3U);
  ASSERT_EQ(got("failures").size(), 1U);
  EXPECT_EQ(got("failures")[0]["reason"], "RollFailed");
  ASSERT_EQ(got("team").size(), 1U);
  EXPECT_EQ(got("team")[0]["workload"], "of-b");
  EXPECT_EQ(got("team")[0]["cluster"], "prod");
}

TEST_F(NotifierTest, WhatStandsIsToldOnceWhateverHappensTwiceIsToldTwice) {
  open({to("all")});
  for (int sweep = 0; sweep < 5; ++sweep) {
    notifier->tell({standing("Moved", "u1 app sha256:bb held"), sample()});
    clock.advance(1min);
  }
  EXPECT_EQ(got("all").size(), 6U);
  notifier->tell({standing("Moved", "u1 app sha256:cc held")});
  EXPECT_EQ(got("all").size(), 7U);
}

TEST_F(NotifierTest, WhatStandsIsToldOnceHoweverSeldomSweepsAre) {
  open({to("all")});
  for (int sweep = 0; sweep < 3; ++sweep) {
    notifier->tell({standing("Moved", "s")});
    clock.advance(24h);
  }
  EXPECT_EQ(got("all").size(), 1U);
}

TEST_F(NotifierTest, WhatWasGoneForAnHourIsNews) {
  open({to("all")});
  notifier->tell({standing("Moved", "s")});
  clock.advance(50min);
  notifier->tell({});  // a registry that gives no answer hides it
  notifier->tell({standing("Moved", "s")});
  EXPECT_EQ(got("all").size(), 1U);
  clock.advance(61min);
  notifier->tell({});
  notifier->tell({standing("Moved", "s")});
  EXPECT_EQ(got("all").size(), 2U);
}

TEST_F(NotifierTest, WhatAFullQueueDroppedIsToldByTheNextSweep) {
  Subscription none = to("all");
  none.sink.max_queued = 1;
  open({none});
  // More than can be sent meanwhile may be dropped; what stands comes in the end.
  std::vector<Notification> many;
  for (int i = 0; i < 20; ++i) many.push_back(standing("Moved", std::to_string(i)));
  for (int sweep = 0; sweep < 20; ++sweep) {
    notifier->tell(many);
    ASSERT_TRUE(notifier->flush(Deadline::after(20s)));
  }
  EXPECT_EQ(got("all").size(), 20U);
}

TEST_F(NotifierTest, NobodyToTellIsFine) {
  open({});
  notifier->tell({sample()});
  EXPECT_TRUE(notifier->flush(Deadline::after(0ms)));
}

TEST_F(NotifierTest, RootsThatDoNotLoadNameTheSink) {
  Subscription bad = to("all");
  bad.client.trust.ca_pem = "no certificate";
  std::vector<Subscription> subscriptions;
  subscriptions.push_back(bad);
  const auto made = Notifier::make("", std::move(subscriptions), clock, metrics, Logger::none());
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("notification sink all: "), std::string::npos);
}

}  // namespace
}  // namespace tidemark::notify
