// make_resolver() over real sockets: the parts wired as a program has them.
#include "registry/stack.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/base64.h"
#include "net/server.h"
#include "registry/own_credentials.h"
#include "support/fake_clock.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::fake_digest;

// A registry that asks for alice's password, on a loopback port of its own.
class StackTest : public ::testing::Test {
 protected:
  StackTest() {
    server_ = net::Server::start(
                  {.listen = "127.0.0.1:0"},
                  [this](const net::ServerRequest& request) {
                    ++requests_;
                    return answer(request);
                  },
                  Logger::none())
                  .value();
    host_ = "127.0.0.1:" + std::to_string(server_->port());
  }

  static net::Response answer(const net::ServerRequest& request) {
    const std::string* sent = net::find_header(request.headers, "Authorization");
    if (sent == nullptr || *sent != "Basic " + base64_encode("alice:wonder")) {
      return {.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=\"r\""}}, .body = {}};
    }
    if (request.method != "HEAD" || request.path != "/v2/team/app/manifests/1") {
      return {.status = 404, .headers = {}, .body = {}};
    }
    return {.status = 200,
            .headers = {{"Content-Type", std::string(testing::FakeResolver::kIndexMediaType)},
                        {"Docker-Content-Digest", fake_digest('a').str()}},
            .body = {}};
  }

  ResolverOptions options() const {
    ResolverOptions options;
    options.registries = {{.host = host_, .plain_http = true}};
    options.addresses.allow_loopback = true;
    options.user_agent = "tidemark-test";
    return options;
  }
  Query query(std::string_view tag) const {
    return {.reference = image::Reference::parse(host_ + "/team/app:" + std::string(tag)).value(),
            .credentials = Keyring::parse_docker_cfg(
                               "{\"" + host_ + R"(":{"username":"alice","password":"wonder"}})",
                               "secret ns/pull")
                               ->lookup(image::Reference::parse(host_ + "/team/app").value()),
            .max_age = seconds{30}};
  }

  SystemClock clock_;
  Metrics metrics_;
  std::atomic<int> requests_{0};
  std::unique_ptr<net::Server> server_;
  std::string host_;
};

TEST_F(StackTest, ResolvesOverRealSocketsWithAsFewRequestsAsItCan) {
  const auto resolver = make_resolver(options(), clock_, metrics_, Logger::none()).value();
  const auto first = resolver->resolve(query("1"), Deadline::after(seconds{10}));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->digest, fake_digest('a'));
  EXPECT_EQ(first->credential_source, "secret ns/pull");
  EXPECT_EQ(requests_, 2) << "a challenge and an answer";
  const auto again = resolver->resolve(query("1"), Deadline::after(seconds{10}));
  EXPECT_EQ(again->freshness, Resolution::Freshness::kCached);
  EXPECT_EQ(requests_, 2);
  const auto missing = resolver->resolve(query("2"), Deadline::after(seconds{10}));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(requests_, 3) << "the challenge is known by now";
}

// A docker config file in a folder of its own.
class OwnCredentialsTest : public StackTest {
 protected:
  OwnCredentialsTest() { std::filesystem::create_directory(folder_); }
  ~OwnCredentialsTest() override { std::filesystem::remove_all(folder_); }
  OwnCredentialsTest(const OwnCredentialsTest&) = delete;
  OwnCredentialsTest& operator=(const OwnCredentialsTest&) = delete;

  void write(const std::string& password) const {
    std::ofstream(file()) << R"({"auths":{")" << host_ << R"(":{"username":"alice","password":")"
                          << password << "\"}}}";
  }
  std::filesystem::path file() const { return folder_ / "config.json"; }
  Result<std::unique_ptr<Resolver>> make() {
    ResolverOptions with_file = options();
    with_file.docker_config_file = file().string();
    return make_resolver(with_file, fake_clock_, metrics_, Logger::none());
  }
  Query bare_query() const {
    return {.reference = image::Reference::parse(host_ + "/team/app:1").value()};
  }

  testing::FakeClock fake_clock_;
  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) /
      ("tidemark-own-" + std::to_string(::getpid()) + "-" +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(OwnCredentialsTest, AreTriedAfterThoseOfTheQuery) {
  write("wonder");
  const auto resolver = make().value();
  const auto bare = resolver->resolve(bare_query(), Deadline::after(seconds{10}));
  ASSERT_TRUE(bare) << bare.error().message;
  EXPECT_EQ(bare->credential_source, file().string());
  Query wrong = bare_query();
  wrong.credentials = {{.username = "bob", .password = "x", .source = "secret ns/pull"}};
  EXPECT_EQ(resolver->resolve(wrong, Deadline::after(seconds{10}))->credential_source,
            file().string());
  const int before = requests_;
  EXPECT_EQ(resolver->resolve(query("1"), Deadline::after(seconds{10}))->freshness,
            Resolution::Freshness::kCached)
      << "the same credential twice is one";
  EXPECT_EQ(requests_, before);
}

TEST_F(OwnCredentialsTest, AreReadAnewAndABadFileKeepsTheOldOnes) {
  write("old");
  const auto resolver = make().value();
  const auto ask = [&] { return resolver->resolve(bare_query(), Deadline::after(seconds{10})); };
  EXPECT_EQ(ask().error().kind, ErrorKind::kUnauthorized);
  write("wonder");
  EXPECT_FALSE(ask()) << "not looked at yet";
  fake_clock_.advance(OwnCredentials::kReread);
  EXPECT_TRUE(ask());
  std::ofstream(file()) << "{";
  fake_clock_.advance(OwnCredentials::kReread);
  EXPECT_TRUE(ask());
  std::filesystem::remove(file());
  fake_clock_.advance(OwnCredentials::kReread);
  EXPECT_TRUE(ask());
}

TEST_F(OwnCredentialsTest, AMissingOrBrokenFileIsNamedAtTheStart) {
  const auto missing = make();
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find(file().string()), std::string::npos);
  std::ofstream(file()) << R"({"auths":{"x":{"auth":"c2VjcmV0")";
  const auto broken = make();
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find(file().string()), std::string::npos);
  EXPECT_EQ(broken.error().message.find("c2VjcmV0"), std::string::npos);
}

TEST_F(OwnCredentialsTest, WhatIsKnownIsAsOfTheConfigurationOfNow) {
  write("wonder");
  const auto resolver = make_resolver(options(), clock_, metrics_, Logger::none()).value();
  const auto knows = [&](const Query& query) {
    const auto known = resolver->known(query);
    return known && known->has_value();
  };
  Query bare = bare_query();
  bare.max_age = seconds{30};
  ASSERT_TRUE(resolver->resolve(query("1"), Deadline::after(seconds{10})));
  EXPECT_TRUE(knows(query("1")));
  EXPECT_FALSE(knows(bare)) << "what alice may read";

  ResolverOptions with_file = options();
  with_file.docker_config_file = file().string();
  ASSERT_TRUE(resolver->reload(with_file, nullptr));
  EXPECT_TRUE(knows(bare)) << "Tidemark is alice now";
  ASSERT_TRUE(resolver->reload(options(), nullptr));
  EXPECT_FALSE(knows(bare));
  EXPECT_TRUE(knows(query("1")));
}

TEST_F(StackTest, ManyThreadsShareOneRequest) {
  const auto resolver = make_resolver(options(), clock_, metrics_, Logger::none()).value();
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 32; ++i) {
      threads.emplace_back([&] {
        if (resolver->resolve(query("1"), Deadline::after(seconds{10}))) ++good;
      });
    }
  }
  EXPECT_EQ(good, 32);
  EXPECT_EQ(requests_, 2);
}

TEST_F(StackTest, RefusesInternalAddressesUnlessConfigured) {
  ResolverOptions strict = options();
  strict.addresses.allow_loopback = false;
  const auto resolver = make_resolver(strict, clock_, metrics_, Logger::none()).value();
  const auto result = resolver->resolve(query("1"), Deadline::after(seconds{10}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kForbidden);
  EXPECT_EQ(requests_, 0);
}

TEST_F(StackTest, ARegistryThatRefusesConnectionsIsSoonAnsweredForAtOnce) {
  const auto resolver = make_resolver(options(), clock_, metrics_, Logger::none()).value();
  server_.reset();
  for (int i = 0; i < 4; ++i) {
    const auto result = resolver->resolve(query("1"), Deadline::after(seconds{10}));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kUnavailable) << result.error().message;
    EXPECT_EQ(result.error().retry_after.has_value(), i == 3) << result.error().message;
  }
}

TEST_F(StackTest, AReloadKeepsWhatIsKnownOfRegistriesThatDidNotChange) {
  const auto resolver = make_resolver(options(), clock_, metrics_, Logger::none()).value();
  const auto resolve = [&] { return resolver->resolve(query("1"), Deadline::after(seconds{10})); };
  ASSERT_TRUE(resolve());
  EXPECT_EQ(requests_, 2);

  ResolverOptions next = options();
  next.registries.push_back({.host = "other.test"});
  ASSERT_TRUE(resolver->reload(next, nullptr));
  EXPECT_EQ(resolve()->freshness, Resolution::Freshness::kCached);
  EXPECT_EQ(requests_, 2);

  ResolverOptions bad = next;
  bad.registries[0].plain_http = false;
  bad.registries[0].ca_pem = "no certificate";
  const auto refused = resolver->reload(bad, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(resolve()->freshness, Resolution::Freshness::kCached) << "nothing changed";

  next.registries[0].max_concurrency = 2;
  ASSERT_TRUE(resolver->reload(next, nullptr));
  EXPECT_EQ(resolve()->freshness, Resolution::Freshness::kFresh) << "its entry changed";
  EXPECT_EQ(requests_, 4) << "the challenge is learnt anew as well";

  next.registries[0].plain_http = false;
  ASSERT_TRUE(resolver->reload(next, nullptr));
  EXPECT_FALSE(resolve()) << "this one speaks no TLS";
}

TEST_F(StackTest, QuestionsUnderWayEndAsTheyBegan) {
  const auto resolver = make_resolver(options(), clock_, metrics_, Logger::none()).value();
  std::atomic<bool> done{false};
  std::atomic<int> bad{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Query fresh = query("1");
      fresh.max_age = milliseconds{0};
      while (!done) {
        if (!resolver->resolve(fresh, Deadline::after(seconds{10}))) ++bad;
      }
    });
  }
  for (std::size_t i = 0; i < 50; ++i) {
    ResolverOptions next = options();
    next.registries[0].max_concurrency = 1 + i % 3;
    next.registries[0].connect_timeout = milliseconds{2000 + i % 2};
    EXPECT_TRUE(resolver->reload(next, nullptr));
  }
  done = true;
  threads.clear();
  EXPECT_EQ(bad, 0);
}

TEST_F(StackTest, RefusesOptionsThatCannotWork) {
  const auto refused = [&](const ResolverOptions& options) {
    const auto resolver = make_resolver(options, clock_, metrics_, Logger::none());
    return !resolver && resolver.error().kind == ErrorKind::kInvalid;
  };
  ResolverOptions bad_ca = options();
  bad_ca.registries[0].ca_pem = "no certificate";
  EXPECT_TRUE(refused(bad_ca));
  ResolverOptions bad_cidr = options();
  bad_cidr.addresses.denied_cidrs = {"10.0.0.0/99"};
  EXPECT_TRUE(refused(bad_cidr));
  ResolverOptions no_cache = options();
  no_cache.cache_entries = 0;
  EXPECT_TRUE(refused(no_cache));
}

}  // namespace
}  // namespace tidemark::registry
