#include "registry/mirrors.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "support/fake_clock.h"
#include "support/fake_http_client.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::fake_digest;

const Credential kPods{.username = "pod", .password = "p", .source = "secret a/pull"};
const std::string kOrigin = "docker.io/library/nginx:1";
const std::string kFirst = "m1.test/hub/library/nginx:1";
const std::string kSecond = "m2.test:5000/library/nginx:1";

class MirrorsTest : public ::testing::Test {
 protected:
  MirrorsTest() { configure(MirrorPolicy::kMirror); }
  ~MirrorsTest() override { settle(); }
  MirrorsTest(const MirrorsTest&) = delete;
  MirrorsTest& operator=(const MirrorsTest&) = delete;

  void configure(MirrorPolicy policy) {
    mirrors_.reset();
    ResolverOptions options;
    options.registries = {
        {.host = "docker.io", .mirrors = {"m1.test/hub", "m2.test:5000"}, .mirror_policy = policy}};
    endpoints_ =
        std::make_unique<Endpoints>(Endpoints::make(options, [](const net::ClientOptions&) {
                                      return Result<std::shared_ptr<net::HttpClient>>(
                                          std::make_shared<testing::FakeHttpClient>());
                                    }).value());
    mirrors_ = std::make_unique<Mirrors>(
        *endpoints_, next_, clock_, metrics_,
        Logger::to_sink(LogLevel::kWarn,
                        [this](std::string_view line) { log_.append(line).append("\n"); }));
  }
  Result<Resolution> resolve(milliseconds budget = seconds{9}) {
    return mirrors_->resolve({.reference = image::Reference::parse(kOrigin).value(),
                              .credentials = {kPods},
                              .max_age = seconds{30}},
                             Deadline::after(budget), {});
  }
  // Every comparison is done: the destructor of Mirrors waits for them.
  void settle() { mirrors_.reset(); }
  std::vector<std::string> asked() const {
    std::vector<std::string> out;
    for (const Query& query : next_.calls()) {
      out.push_back(query.reference.str() + (query.credentials.empty() ? "" : " as pod"));
    }
    return out;
  }
  double compared(const std::string& outcome) {
    return all_metrics_
        .counter("tidemark_mirror_comparisons_total",
                 "Comparisons of a mirror's digest with its registry's.")
        .with({{"registry", "docker.io"}, {"outcome", outcome}})
        .value();
  }

  testing::FakeClock clock_;
  Metrics all_metrics_;
  RegistryMetrics metrics_{all_metrics_};
  testing::FakeResolver next_;
  std::string log_;
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<Mirrors> mirrors_;
};

TEST_F(MirrorsTest, TheFirstMirrorThatAnswersDecides) {
  next_.serve(kFirst, fake_digest('a'));
  next_.serve(kOrigin, fake_digest('a'));
  const auto result = resolve();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->digest, fake_digest('a'));
  EXPECT_EQ(asked().front(), kFirst) << "without the credentials for the registry";
}

TEST_F(MirrorsTest, TheNextIsAskedWhereOneHasNothingAndTheRegistryLast) {
  next_.refuse(kFirst, ErrorKind::kNotFound, "not found (404)");
  next_.refuse(kSecond, ErrorKind::kUnavailable, "connection refused");
  next_.serve(kOrigin, fake_digest('b'));
  EXPECT_EQ(resolve()->digest, fake_digest('b'));
  EXPECT_EQ(asked(), (std::vector<std::string>{kFirst, kSecond, kOrigin + " as pod"}));
  next_.refuse(kOrigin, ErrorKind::kUnauthorized, "docker.io/library/nginx:1: unauthorized (401)");
  const auto refused = resolve();
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnauthorized) << "the registry's own word";
  EXPECT_NE(refused.error().message.find("connection refused"), std::string::npos);
}

TEST_F(MirrorsTest, AHangingMirrorLeavesTimeForTheRest) {
  const auto hang = [](const Query&, Deadline deadline,
                       const std::stop_token&) -> Result<Resolution> {
    EXPECT_LE(deadline.remaining(), seconds{6});
    return fail(ErrorKind::kTimeout, "timed out");
  };
  next_.answer(kFirst, hang);
  next_.answer(kSecond, hang);
  next_.serve(kOrigin, fake_digest('b'));
  EXPECT_TRUE(resolve(seconds{9}));
}

TEST_F(MirrorsTest, OriginAsksTheRegistryAlone) {
  configure(MirrorPolicy::kOrigin);
  next_.serve(kOrigin, fake_digest('b'));
  EXPECT_EQ(resolve()->digest, fake_digest('b'));
  EXPECT_EQ(asked().front(), kOrigin + " as pod");
  next_.refuse(kOrigin, ErrorKind::kUnavailable, "down");
  next_.serve(kFirst, fake_digest('a'));
  EXPECT_FALSE(resolve()) << "an old digest of a mirror's would look like a tag that moved";
}

TEST_F(MirrorsTest, ADifferenceIsToldOnceAnHour) {
  next_.serve(kFirst, fake_digest('a'));
  std::promise<void> done;
  next_.answer(kOrigin, [&](const Query& query, Deadline, const std::stop_token&) {
    EXPECT_EQ(query.max_age.count(), 0) << "the registry's own word";
    done.set_value();
    return Resolution{.digest = fake_digest('b')};
  });
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(resolve()->digest, fake_digest('a')) << "the mirror's stands";
    clock_.advance(seconds{60});
  }
  done.get_future().wait();
  settle();
  EXPECT_EQ(compared("different"), 1.0);
  EXPECT_NE(log_.find("a mirror and its registry disagree"), std::string::npos);
  EXPECT_NE(log_.find("\"mirror\":\"m1.test/hub\""), std::string::npos) << log_;
  EXPECT_NE(log_.find("\"mirror_digest\":\"" + fake_digest('a').str()), std::string::npos);
  EXPECT_NE(log_.find("\"registry_digest\":\"" + fake_digest('b').str()), std::string::npos);
}

TEST_F(MirrorsTest, ManyImagesAreComparedSeldom) {
  next_.serve(kFirst, fake_digest('a'));
  next_.serve(kOrigin, fake_digest('a'));
  for (int i = 0; i < 100; ++i) {
    const std::string name = "app" + std::to_string(i);
    next_.serve("m1.test/hub/library/" + name + ":1", fake_digest('a'));
    next_.serve("docker.io/library/" + name + ":1", fake_digest('a'));
    EXPECT_TRUE(mirrors_->resolve({.reference = image::Reference::parse(name + ":1").value()},
                                  Deadline::after(seconds{9}), {}));
    clock_.advance(seconds{1});
  }
  settle();
  EXPECT_LE(next_.calls().size(), 110U) << "one in ten seconds";
}

TEST_F(MirrorsTest, WhatIsKnownFollowsTheSameOrder) {
  const Query query{.reference = image::Reference::parse(kOrigin).value()};
  EXPECT_FALSE(mirrors_->known(query)) << "nothing is known of the first mirror";
}

TEST(MirrorPolicyNames, AreRead) {
  EXPECT_EQ(parse_mirror_policy("mirror"), MirrorPolicy::kMirror);
  EXPECT_EQ(parse_mirror_policy("origin"), MirrorPolicy::kOrigin);
  EXPECT_FALSE(parse_mirror_policy("both"));
}

}  // namespace
}  // namespace tidemark::registry
