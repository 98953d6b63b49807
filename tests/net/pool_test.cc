#include "net/pool.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "support/fake_clock.h"

namespace tidemark::net {
namespace {

using std::chrono::seconds;

// The client's end of a connected pair, and the peer's.
std::pair<Connection, Fd> connected() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {Connection(Fd(ends[0]), -1, {}), Fd(ends[1])};
}

class PoolTest : public ::testing::Test {
 protected:
  // Puts a new connection and tells its descriptor, by which the tests know it again.
  int put(const std::string& key) {
    auto [connection, peer] = connected();
    const int fd = connection.fd();
    peers_.push_back(std::move(peer));
    pool_.put(key, std::move(connection));
    return fd;
  }
  int take(const std::string& key) {
    auto connection = pool_.take(key);
    if (!connection) return -1;
    const int fd = connection->fd();
    taken_.push_back(std::move(*connection));  // kept open, so that no descriptor is used twice
    return fd;
  }

  std::shared_ptr<testing::FakeClock> clock_ = std::make_shared<testing::FakeClock>();
  ConnectionPool pool_{2, seconds{60}, clock_};
  std::vector<Fd> peers_;
  std::vector<Connection> taken_;
};

TEST_F(PoolTest, EachKeyHasItsOwnConnections) {
  const int a = put("a");
  const int b = put("b");
  EXPECT_EQ(take("c"), -1);
  EXPECT_EQ(take("b"), b);
  EXPECT_EQ(take("b"), -1);
  EXPECT_EQ(take("a"), a);
}

TEST_F(PoolTest, TheNewestIsTakenFirst) {
  const int first = put("a");
  const int second = put("a");
  EXPECT_EQ(take("a"), second);
  EXPECT_EQ(take("a"), first);
}

TEST_F(PoolTest, TheOldestOfAKeyGivesWay) {
  const int first = put("a");
  const int second = put("a");
  const int third = put("a");
  EXPECT_EQ(pool_.idle(), 2U);
  EXPECT_EQ(take("a"), third);
  EXPECT_EQ(take("a"), second);
  EXPECT_EQ(take("a"), -1);
  EXPECT_NE(first, second);
}

TEST_F(PoolTest, AllKeysTogetherAreBounded) {
  for (std::size_t i = 0; i < kMaxIdleConnections + 10; ++i) put(std::to_string(i));
  EXPECT_EQ(pool_.idle(), kMaxIdleConnections);
  EXPECT_EQ(take("0"), -1);
  EXPECT_NE(take(std::to_string(kMaxIdleConnections + 9)), -1);
}

TEST_F(PoolTest, IdleConnectionsExpire) {
  put("a");
  clock_->advance(seconds{30});
  const int younger = put("a");
  clock_->advance(seconds{30});
  EXPECT_EQ(take("a"), younger);
  EXPECT_EQ(take("a"), -1);
}

TEST_F(PoolTest, WhatThePeerClosedOrWroteToIsNotHandedOut) {
  const int good = put("a");
  put("a");
  const char byte = 'x';
  ASSERT_EQ(::send(peers_[1].get(), &byte, 1, 0), 1);
  EXPECT_EQ(take("a"), good);
  put("a");
  peers_.back() = Fd();
  EXPECT_EQ(take("a"), -1);
}

TEST_F(PoolTest, APoolOfNothingKeepsNothing) {
  ConnectionPool none(0, seconds{60}, clock_);
  auto [connection, peer] = connected();
  none.put("a", std::move(connection));
  EXPECT_EQ(none.idle(), 0U);
}

}  // namespace
}  // namespace tidemark::net
