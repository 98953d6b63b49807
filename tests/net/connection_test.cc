#include "net/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include "net/tls.h"
#include "support/test_certificates.h"

namespace tidemark::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShort{50};     // a deadline that a test lets pass
constexpr milliseconds kLong{10'000};  // one that no passing test reaches

Deadline soon() { return Deadline::after(kShort); }
Deadline late() { return Deadline::after(kLong); }

struct Pair {
  Fd a;
  Fd b;
};
Pair socket_pair() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

Connection plain(Fd fd, std::stop_token stop = {}) {
  return Connection(std::move(fd), -1, std::move(stop));
}

std::string read_exactly(Connection& connection, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const auto got = connection.read(std::span(text).subspan(have), late());
    if (!got || *got == 0) break;
    have += *got;
  }
  text.resize(have);
  return text;
}

TEST(Fd, ClosesItselfOnceAndCanBeMoved) {
  Pair pair = socket_pair();
  const int raw = pair.a.get();
  {
    Fd moved(std::move(pair.a));
    EXPECT_EQ(moved.get(), raw);
    pair.b = std::move(moved);
  }
  EXPECT_EQ(pair.b.get(), raw);
  EXPECT_EQ(::fcntl(raw, F_GETFD) >= 0, true);
  pair.b = Fd();
  EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST(Connection, CarriesBytesBothWaysAndSeesTheEnd) {
  Pair pair = socket_pair();
  Connection a = plain(std::move(pair.a));
  {
    Connection b = plain(std::move(pair.b));
    ASSERT_TRUE(a.write("ping", late()));
    EXPECT_EQ(read_exactly(b, 4), "ping");
    ASSERT_TRUE(b.write("pong", late()));
    EXPECT_EQ(read_exactly(a, 4), "pong");
  }
  std::array<char, 8> buffer{};
  EXPECT_EQ(a.read(buffer, late()), 0U);
}

TEST(Connection, ReadAndWaitEndAtTheDeadline) {
  Pair pair = socket_pair();
  Connection a = plain(std::move(pair.a));
  std::array<char, 8> buffer{};
  const auto got = a.read(buffer, soon());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(a.wait_readable(soon()), Connection::Wait::kTimeout);
}

TEST(Connection, WriteEndsAtTheDeadlineWhenNobodyReads) {
  Pair pair = socket_pair();
  Connection a = plain(std::move(pair.a));
  const Status written = a.write(std::string(std::size_t{16} * 1024 * 1024, 'x'), soon());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kTimeout);
}

TEST(Connection, AnExpiredDeadlineIsKeptThoughBytesAreThere) {
  Pair pair = socket_pair();
  Connection a = plain(std::move(pair.a));
  ASSERT_EQ(::write(pair.b.get(), "x", 1), 1);
  std::array<char, 8> buffer{};
  const auto got = a.read(buffer, Deadline::after(milliseconds{0}));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kTimeout);
}

TEST(Connection, AStopEndsAWaitingReadAtOnce) {
  Pair pair = socket_pair();
  std::stop_source stop;
  Connection a = plain(std::move(pair.a), stop.get_token());
  const auto start = std::chrono::steady_clock::now();
  std::jthread stopper([&stop] { stop.request_stop(); });
  std::array<char, 8> buffer{};
  const auto got = a.read(buffer, late());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kCanceled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, kLong / 2);
  EXPECT_EQ(a.write("x", late()).error().kind, ErrorKind::kCanceled);
  EXPECT_EQ(a.wait_readable(late()).error().kind, ErrorKind::kCanceled);
}

TEST(Connection, AStopThatWasReplacedHasNoEffect) {
  Pair pair = socket_pair();
  std::stop_source first;
  Connection a = plain(std::move(pair.a), first.get_token());
  a.set_stop({});
  first.request_stop();
  EXPECT_TRUE(a.write("x", late()));
}

TEST(Connection, AWakeEndsTheIdleWaitButNotARead) {
  Pair pair = socket_pair();
  const Fd wake(::eventfd(0, EFD_CLOEXEC));
  Connection a(std::move(pair.a), wake.get(), {});
  ASSERT_EQ(::eventfd_write(wake.get(), 1), 0);
  EXPECT_EQ(a.wait_readable(late()), Connection::Wait::kWoken);
  ASSERT_EQ(::write(pair.b.get(), "x", 1), 1);
  EXPECT_EQ(a.wait_readable(late()), Connection::Wait::kReadable) << "a request wins";
  EXPECT_EQ(read_exactly(a, 1), "x");
}

TEST(Connection, KnowsWhenItHasGoneStale) {
  Pair pair = socket_pair();
  Connection a = plain(std::move(pair.a));
  EXPECT_FALSE(a.stale());
  ASSERT_EQ(::write(pair.b.get(), "x", 1), 1);
  EXPECT_TRUE(a.stale()) << "an answer that nobody asked for";
  EXPECT_EQ(read_exactly(a, 1), "x");
  EXPECT_FALSE(a.stale());
  pair.b = Fd();
  EXPECT_TRUE(a.stale());
}

TEST(Connection, APeerThatIsGoneIsAnErrorAndNotASignal) {
  ASSERT_NE(::signal(SIGPIPE, SIG_DFL), SIG_ERR);
  Pair pair = socket_pair();
  Connection a = plain(std::move(pair.a));
  pair.b = Fd();
  const Status written = a.write("x", late());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kUnavailable);
}

TEST(Connection, FinishDiscardsUntilThePeersEndOrABound) {
  Pair pair = socket_pair();
  Connection a = plain(std::move(pair.a));
  ASSERT_EQ(::write(pair.b.get(), "unread", 6), 6);
  ASSERT_EQ(::shutdown(pair.b.get(), SHUT_WR), 0);
  a.finish(late(), 1024);
  char byte = 0;
  EXPECT_EQ(::read(pair.b.get(), &byte, 1), 0) << "the end, not a reset";

  Pair second = socket_pair();
  Connection b = plain(std::move(second.a));
  b.finish(soon(), 1024);  // the peer never ends: returns at the deadline

  Pair third = socket_pair();
  Connection c = plain(std::move(third.a));
  ASSERT_EQ(::write(third.b.get(), std::string(8192, 'x').data(), 8192), 8192);
  c.finish(late(), 1024);  // returns at the bound of bytes
}

TEST(Connection, MovingGivesUpWhatWasHeldBefore) {
  Pair first = socket_pair();
  Pair second = socket_pair();
  Connection a = plain(std::move(first.a));
  a = plain(std::move(second.a));
  char byte = 0;
  EXPECT_EQ(::read(first.b.get(), &byte, 1), 0);
  ASSERT_TRUE(a.write("y", late()));
  EXPECT_EQ(::read(second.b.get(), &byte, 1), 1);
}

// ---- TLS ----

class TlsConnection : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(certificate_.load(ca_.issue()));
    client_context_ =
        *make_client_context({.system_roots = false, .ca_pem = ca_.certificate_pem()});
    Pair pair = socket_pair();
    server_.emplace(plain(std::move(pair.a), stop_.get_token()));
    client_.emplace(plain(std::move(pair.b)));
  }

  void shake_hands() {
    Status accepted;
    std::jthread server([&] { accepted = server_->accept_tls(certificate_.context(), late()); });
    const Status connected = client_->connect_tls(client_context_, "localhost", late());
    server.join();
    ASSERT_TRUE(connected) << connected.error().message;
    ASSERT_TRUE(accepted) << accepted.error().message;
  }

  testing::TestCa ca_;
  ServerCertificate certificate_;
  std::shared_ptr<ssl_ctx_st> client_context_;
  std::stop_source stop_;
  std::optional<Connection> server_;
  std::optional<Connection> client_;
};

TEST_F(TlsConnection, CarriesMoreThanTheSocketHolds) {
  shake_hands();
  const std::string sent(std::size_t{3} * 1024 * 1024, 'x');
  Status written;
  std::jthread writer([&] { written = server_->write(sent, late()); });
  EXPECT_EQ(read_exactly(*client_, sent.size()), sent);
  writer.join();
  EXPECT_TRUE(written);
}

TEST_F(TlsConnection, BufferedRecordsCountAsReadable) {
  shake_hands();
  ASSERT_TRUE(server_->write("abc", late()));
  EXPECT_EQ(read_exactly(*client_, 1), "a");
  EXPECT_EQ(client_->wait_readable(soon()), Connection::Wait::kReadable);
  EXPECT_TRUE(client_->stale());
  EXPECT_EQ(read_exactly(*client_, 2), "bc");
  EXPECT_EQ(client_->wait_readable(soon()), Connection::Wait::kTimeout);
  EXPECT_FALSE(client_->stale());
}

TEST_F(TlsConnection, TellsAnOrderlyEndFromATruncation) {
  shake_hands();
  server_.reset();
  std::array<char, 8> buffer{};
  EXPECT_EQ(client_->read(buffer, late()), 0U);
}

TEST_F(TlsConnection, ABareEndIsATruncation) {
  shake_hands();
  ASSERT_EQ(::shutdown(server_->fd(), SHUT_RDWR), 0);
  std::array<char, 8> buffer{};
  const auto got = client_->read(buffer, late());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kUnavailable) << got.error().message;
}

TEST_F(TlsConnection, AWriteToNobodyIsNoFaultOfTls) {
  shake_hands();
  ASSERT_EQ(::shutdown(server_->fd(), SHUT_RDWR), 0);
  const auto written = client_->write("too late", late());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kUnavailable) << written.error().message;
}

TEST_F(TlsConnection, HandshakesEndAtTheDeadline) {
  // Nobody answers on the other side.
  const Status accepted = server_->accept_tls(certificate_.context(), soon());
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().kind, ErrorKind::kTimeout);
}

TEST_F(TlsConnection, AConnectingHandshakeEndsAtTheDeadline) {
  const Status connected = client_->connect_tls(client_context_, "localhost", soon());
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().kind, ErrorKind::kTimeout);
}

TEST_F(TlsConnection, AStopEndsAHandshake) {
  std::jthread stopper([this] { stop_.request_stop(); });
  const Status accepted = server_->accept_tls(certificate_.context(), late());
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().kind, ErrorKind::kCanceled);
}

TEST_F(TlsConnection, GarbageIsATlsError) {
  ASSERT_TRUE(client_->write("GET / HTTP/1.1\r\n\r\n", late()));
  const Status accepted = server_->accept_tls(certificate_.context(), late());
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().kind, ErrorKind::kTls) << accepted.error().message;
}

TEST_F(TlsConnection, NoCertificateYetIsATlsError) {
  const ServerCertificate empty;
  EXPECT_EQ(server_->accept_tls(empty.context(), late()).error().kind, ErrorKind::kTls);
}

}  // namespace
}  // namespace tidemark::net
