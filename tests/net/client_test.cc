#include "net/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "support/scripted_server.h"
#include "support/test_certificates.h"

namespace tidemark::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::answer_always;
using testing::answer_always_tls;
using testing::FullListener;
using testing::ok_answer;
using testing::ScriptedServer;
using testing::server_context;
using testing::TestCa;
using Peer = ScriptedServer::Peer;

// Long enough for any machine: what passes never waits for it.
Deadline soon() { return Deadline::after(seconds{20}); }
// For what is to fail by its deadline.
constexpr milliseconds kShort{150};
// Far below every deadline but kShort: how long after a stop or a deadline a call may still last.
constexpr seconds kPromptly{5};

std::shared_ptr<HttpClient> make(ClientOptions options = {}) {
  options.trust.system_roots = false;
  auto client = make_client(options);
  EXPECT_TRUE(client.has_value()) << client.error().message;
  return *client;
}

Request get(const Url& url) {
  Request request;
  request.url = url;
  return request;
}

Request with_method(const std::string& method, const Url& url, const std::string& body = "") {
  Request request = get(url);
  request.method = method;
  request.body = body;
  return request;
}

// "200 body", or the kind of the error.
std::string text(const Result<Response>& response) {
  if (!response) return std::string(to_string(response.error().kind));
  return std::to_string(response->status) + ' ' + response->body;
}

std::string fetch(HttpClient& client, const Url& url) {
  return text(client.send(get(url), soon()));
}

// The result of a call that must fail by a short deadline, and does so in time.
std::string fetch_briefly(HttpClient& client, const Request& request) {
  const auto begin = std::chrono::steady_clock::now();
  const auto response = client.send(request, Deadline::after(kShort));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kShort + kPromptly);
  return text(response);
}

// --- requests -------------------------------------------------------------------------------

// What the server got for `request`.
std::string sent(const Request& request, const ClientOptions& options = {}) {
  std::string got;
  {
    ScriptedServer server([&](Peer& peer) {
      got = peer.read_head();
      got += peer.read_bytes(request.body.size());
      peer.write(ok_answer());
    });
    Request to_server = request;
    to_server.url.port = server.port();
    const auto response = make(options)->send(to_server, soon());
    EXPECT_TRUE(response.has_value()) << response.error().message;
    const std::string port = std::to_string(server.port());
    if (const auto at = got.find(port); at != std::string::npos) got.replace(at, port.size(), "P");
  }
  return got;
}

const Url kLocal{.tls = false, .host = "127.0.0.1", .port = 0, .target = "/v2/a?b=c%20d"};

TEST(ClientRequest, IsWrittenInFull) {
  Request request = get(kLocal);
  request.headers = {{.name = "Accept", .value = "text/x, */*"}, {.name = "X-Empty", .value = ""}};
  EXPECT_EQ(sent(request, {.user_agent = "tidemark/1 (test)"}),
            "GET /v2/a?b=c%20d HTTP/1.1\r\nHost: 127.0.0.1:P\r\nUser-Agent: tidemark/1 (test)\r\n"
            "Accept-Encoding: identity\r\nAccept: text/x, */*\r\nX-Empty: \r\n\r\n");
}

TEST(ClientRequest, ASecretTargetIsInNoError) {
  Request request = get(kLocal);
  {
    const ScriptedServer server([](Peer& peer) { peer.reset(); });
    request.url.port = server.port();
  }
  const std::string port = std::to_string(request.url.port);
  const auto message = [&] { return make()->send(request, soon()).error().message; };
  EXPECT_TRUE(message().starts_with("GET http://127.0.0.1:" + port + "/v2/a: ")) << message();
  request.secret_target = true;
  EXPECT_TRUE(message().starts_with("GET http://127.0.0.1:" + port + ": ")) << message();
}

TEST(ClientRequest, AHeaderCanBeCheckedBeforeItIsSent) {
  EXPECT_TRUE(check_header({.name = "X-Api-Key", .value = "a b\tc"}));
  for (const char* name : {"", "X Y", "X:", "host", "Content-Length", "X\n"}) {
    EXPECT_FALSE(check_header({.name = name, .value = ""})) << name;
  }
  const auto refused = check_header({.name = "X-Api-Key", .value = "the-secret\n"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "control character in header X-Api-Key");
}

TEST(ClientRequest, ABodyCarriesItsLength) {
  EXPECT_EQ(sent(with_method("PATCH", kLocal, "[1]")),
            "PATCH /v2/a?b=c%20d HTTP/1.1\r\nHost: 127.0.0.1:P\r\nAccept-Encoding: identity\r\n"
            "Content-Length: 3\r\n\r\n[1]");
  EXPECT_NE(sent(with_method("POST", kLocal)).find("Content-Length: 0\r\n"), std::string::npos);
  EXPECT_EQ(sent(with_method("DELETE", kLocal)).find("Content-Length"), std::string::npos);
}

TEST(ClientRequest, ALargeBodyIsWrittenWhole) {
  const std::string body(3'000'000, 'x');
  std::atomic<bool> whole = false;
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    whole = peer.read_bytes(body.size()) == body;
    peer.write(ok_answer());
  });
  EXPECT_EQ(text(make()->send(with_method("PUT", server.url(), body), soon())), "200 ok");
  EXPECT_TRUE(whole);
}

TEST(ClientRequest, NothingFromOutsideCanEndALine) {
  ScriptedServer server(answer_always(ok_answer()));
  const auto client = make();
  std::vector<Request> bad;
  for (const char* target : {"", "x", "/a b", "/a\r\nX: y", "/a\n", "/\x7f"}) {
    bad.push_back(get(server.url(target)));
  }
  for (const char* method : {"", "GET /", "GET\r\n", "G:T"}) {
    bad.push_back(with_method(method, server.url()));
  }
  for (const Header& header :
       {Header{.name = "X", .value = "a\r\nY: b"}, Header{.name = "X", .value = "a\nb"},
        Header{.name = "X", .value = std::string("a\0b", 3)}, Header{.name = "X Y", .value = "a"},
        Header{.name = "X:", .value = "a"}, Header{.name = "", .value = "a"},
        Header{.name = "host", .value = "evil"}, Header{.name = "Content-length", .value = "1"},
        Header{.name = "Transfer-Encoding", .value = "chunked"},
        Header{.name = "Connection", .value = "close"},
        Header{.name = "X", .value = std::string(40'000, 'a')}}) {
    bad.push_back(get(server.url()));
    bad.back().headers = {header};
  }
  bad.push_back(get(server.url()));
  bad.back().url.host = "127.0.0.1\r\nX: y";
  for (const Request& request : bad) {
    EXPECT_EQ(text(client->send(request, soon())), "invalid")
        << request.method << ' ' << request.url.str();
  }
  EXPECT_EQ(server.accepted(), 0U);
}

TEST(ClientRequest, AnErrorNamesTheRequestWithoutItsQuery) {
  ScriptedServer server([](Peer& peer) { peer.read_head(); });
  const auto response = make()->send(get(server.url("/blob?signature=secret")), soon());
  ASSERT_FALSE(response.has_value());
  EXPECT_TRUE(response.error().message.starts_with("GET http://127.0.0.1:"));
  EXPECT_NE(response.error().message.find("/blob: "), std::string::npos)
      << response.error().message;
  EXPECT_EQ(response.error().message.find("secret"), std::string::npos);
}

TEST(ClientOptionsTest, WhatCannotWorkIsRefusedAtOnce) {
  const auto kind = [](const ClientOptions& options) {
    const auto client = make_client(options);
    return client ? "made" : std::string(to_string(client.error().kind));
  };
  ClientOptions options;
  options.trust.ca_pem = "not a certificate";
  EXPECT_EQ(kind(options), "invalid");
  options = {.user_agent = "a\r\nb"};
  EXPECT_EQ(kind(options), "invalid");
  options = {};
  options.proxy.https = Proxy{.url = *Url::parse("https://proxy:1")};
  EXPECT_EQ(kind(options), "invalid");
  options.proxy.https = Proxy{.url = *Url::parse("http://proxy:1"), .authorization = "a\nb"};
  EXPECT_EQ(kind(options), "invalid");
}

// --- answers --------------------------------------------------------------------------------

TEST(ClientAnswer, AnyStatusIsAnAnswer) {
  ScriptedServer server(
      answer_always("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy"));
  const auto response = make()->send(get(server.url()), soon());
  EXPECT_EQ(text(response), "503 busy");
  EXPECT_EQ(*find_header(response->headers, "retry-after"), "7");
}

TEST(ClientAnswer, RedirectsAreNotFollowed) {
  ScriptedServer server(
      answer_always("HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(fetch(*make(), server.url()), "307 ");
}

TEST(ClientAnswer, TheBodyIsBounded) {
  const std::string endless = std::string(1000, 'x');
  const std::vector<ScriptedServer::Script> scripts = {
      [](Peer& peer) {  // announced: refused before a byte of it is read
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
        peer.hang();
      },
      [&](Peer& peer) {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (peer.write("3e8\r\n" + endless + "\r\n")) {
        }
      },
      [&](Peer& peer) {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\n\r\n");
        while (peer.write(endless)) {
        }
      }};
  for (const auto& script : scripts) {
    ScriptedServer server(script);
    Request request = get(server.url());
    request.max_body_bytes = 1000;
    EXPECT_EQ(text(make()->send(request, soon())), "too_large");
  }
  ScriptedServer exact(answer_always(ok_answer(endless)));
  Request request = get(exact.url());
  request.max_body_bytes = 1000;
  EXPECT_EQ(text(make()->send(request, soon())), "200 " + endless);
}

TEST(ClientAnswer, TheHeadIsBounded) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\n");
    while (peer.write("X: " + std::string(1000, 'a') + "\r\n")) {
    }
  });
  EXPECT_EQ(fetch(*make(), server.url()), "too_large");
}

TEST(ClientAnswer, WhatIsNoHttpIsUnavailable) {
  ScriptedServer garbage([](Peer& peer) {
    peer.write("220 mail.example ESMTP\r\n");
    peer.hang();
  });
  EXPECT_EQ(fetch(*make(), garbage.url()), "unavailable");
  ScriptedServer reset([](Peer& peer) {
    peer.read_head();
    peer.reset();
  });
  EXPECT_EQ(fetch(*make(), reset.url()), "unavailable");
  ScriptedServer early([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  EXPECT_EQ(fetch(*make(), early.url()), "unavailable");
  ScriptedServer closes([](Peer&) {});
  EXPECT_EQ(fetch(*make(), closes.url()), "unavailable");
}

TEST(ClientAnswer, AHalfClosedServerStillAnswers) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\n\r\nall of it");
    peer.half_close();
    peer.hang();
  });
  EXPECT_EQ(fetch(*make(), server.url()), "200 all of it");
}

TEST(ClientConnect, NothingListeningIsUnavailable) {
  Url url;
  {
    ScriptedServer gone(answer_always(""));
    url = gone.url();
  }
  EXPECT_EQ(fetch(*make(), url), "unavailable");
}

TEST(ClientConnect, EveryAddressOfANameIsTried) {
  // localhost may be ::1 first; only 127.0.0.1 listens.
  ScriptedServer server(answer_always(ok_answer()));
  Url url = server.url();
  url.host = "localhost";
  EXPECT_EQ(fetch(*make(), url), "200 ok");
}

TEST(ClientConnect, IPv6LiteralsWork) {
  ScriptedServer server(answer_always(ok_answer()), "::1");
  EXPECT_EQ(fetch(*make(), server.url()), "200 ok");
}

TEST(ClientConnect, AnAddressThatThePolicyRefusesHearsNothing) {
  ScriptedServer server(answer_always(ok_answer()));
  const auto client = make({.addresses = *AddressPolicy::make({})});
  for (const char* host : {"127.0.0.1", "localhost", "127.1", "::ffff:127.0.0.1"}) {
    Url url = server.url();
    url.host = host;
    EXPECT_EQ(fetch(*client, url), "forbidden") << host;
  }
  EXPECT_EQ(server.accepted(), 0U);
}

// --- deadlines ------------------------------------------------------------------------------

TEST(ClientDeadline, BoundsEverySilenceAndEveryTrickle) {
  const std::string slow(200, 'x');
  const std::vector<ScriptedServer::Script> scripts = {
      [](Peer& peer) { peer.hang(); },  // no answer
      [](Peer& peer) { peer.freeze(); },
      [](Peer& peer) { peer.trickle("HTTP/1.1 200 " + std::string(500, 'x'), milliseconds{20}); },
      [&](Peer& peer) {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n");
        peer.trickle(slow, milliseconds{20});
      },
      [&](Peer& peer) {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;");
        peer.trickle(slow, milliseconds{20});
      },
      [](Peer& peer) {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nsome");
        peer.hang();
      }};
  for (const auto& script : scripts) {
    ScriptedServer server(script);
    EXPECT_EQ(fetch_briefly(*make(), get(server.url())), "timeout");
  }
}

TEST(ClientDeadline, BoundsAServerThatDoesNotRead) {
  ScriptedServer server([](Peer& peer) { peer.freeze(); });
  const std::string body(std::size_t{32} << 20, 'x');
  EXPECT_EQ(fetch_briefly(*make(), with_method("PUT", server.url(), body)), "timeout");
}

TEST(ClientDeadline, BoundsTheHandshake) {
  ScriptedServer before([](Peer& peer) { peer.hang(); });
  EXPECT_EQ(fetch_briefly(*make(), get(before.url("/", true))), "timeout");
  const TestCa ca;
  const auto context = server_context(ca.issue());
  ScriptedServer after([&](Peer& peer) {
    peer.start_tls(context);
    peer.hang();
  });
  ClientOptions options;
  options.trust.ca_pem = ca.certificate_pem();
  EXPECT_EQ(fetch_briefly(*make(options), get(after.url("/", true))), "timeout");
}

TEST(ClientDeadline, BoundsConnecting) {
  const FullListener full;
  EXPECT_EQ(fetch_briefly(*make(), get(full.url())), "timeout");
}

TEST(ClientDeadline, TheConnectTimeoutIsItsOwn) {
  const auto client = make({.connect_timeout = kShort});
  const FullListener full;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(fetch(*client, full.url()), "timeout");
  ScriptedServer server([](Peer& peer) { peer.hang(); });
  EXPECT_EQ(fetch(*client, server.url("/", true)), "timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPromptly);
}

TEST(ClientDeadline, AnExpiredOneSendsNothing) {
  ScriptedServer server(answer_always(ok_answer()));
  EXPECT_EQ(text(make()->send(get(server.url()), Deadline::after(milliseconds{0}))), "timeout");
  EXPECT_EQ(server.accepted(), 0U);
}

// --- stopping -------------------------------------------------------------------------------

// The call's result when a stop comes once `reached` has counted down.
std::string stopped(HttpClient& client, const Request& request, std::latch& reached) {
  std::stop_source stop;
  const std::jthread stopper([&] {
    reached.wait();
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto response = client.send(request, Deadline::after(seconds{60}), stop.get_token());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPromptly);
  return text(response);
}

TEST(ClientStop, EndsTheWaitForAnAnswer) {
  std::latch reached(1);
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    reached.count_down();
    peer.hang();
  });
  EXPECT_EQ(stopped(*make(), get(server.url()), reached), "canceled");
}

TEST(ClientStop, EndsAHandshake) {
  std::latch reached(1);
  ScriptedServer server([&](Peer& peer) {
    peer.read_bytes(1);
    reached.count_down();
    peer.hang();
  });
  EXPECT_EQ(stopped(*make(), get(server.url("/", true)), reached), "canceled");
}

TEST(ClientStop, EndsAConnect) {
  const FullListener full;
  std::latch reached(0);  // at any moment of it
  EXPECT_EQ(stopped(*make({.connect_timeout = seconds{60}}), get(full.url()), reached), "canceled");
}

TEST(ClientStop, ARequestedOneSendsNothing) {
  ScriptedServer server(answer_always(ok_answer()));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(text(make()->send(get(server.url()), soon(), stop.get_token())), "canceled");
  EXPECT_EQ(server.accepted(), 0U);
}

TEST(ClientStop, AnOldStopDoesNotTouchAReusedConnection) {
  ScriptedServer server(answer_always(ok_answer()));
  const auto client = make();
  std::stop_source first;
  EXPECT_EQ(text(client->send(get(server.url()), soon(), first.get_token())), "200 ok");
  first.request_stop();
  EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  EXPECT_EQ(server.accepted(), 1U);
}

// --- reuse ----------------------------------------------------------------------------------

TEST(ClientReuse, OneConnectionServesManyRequests) {
  ScriptedServer server(answer_always(ok_answer()));
  const auto client = make();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  EXPECT_EQ(server.accepted(), 1U);
}

TEST(ClientReuse, HeadAndEmptyAnswersKeepTheConnection) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    peer.read_head();
    peer.write("HTTP/1.1 304 Not Modified\r\n\r\n");
    peer.read_head();
    peer.write("HTTP/1.1 204 No Content\r\n\r\n");
    peer.read_head();
    peer.write(ok_answer());
  });
  const auto client = make();
  EXPECT_EQ(text(client->send(with_method("HEAD", server.url()), soon())), "200 ");
  EXPECT_EQ(fetch(*client, server.url()), "304 ");
  EXPECT_EQ(fetch(*client, server.url()), "204 ");
  EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  EXPECT_EQ(server.accepted(), 1U);
}

TEST(ClientReuse, EachRequestUnderWayHasAConnectionOfItsOwn) {
  std::barrier together(4);
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    together.arrive_and_wait();  // passes only if all four are open at once
    peer.write(ok_answer());
    while (!peer.read_head().empty()) peer.write(ok_answer());
  });
  const auto client = make({.max_idle_per_host = 2});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { EXPECT_EQ(fetch(*client, server.url()), "200 ok"); });
    }
  }
  EXPECT_EQ(server.accepted(), 4U);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  EXPECT_EQ(server.accepted(), 4U);
}

TEST(ClientReuse, SchemeHostAndPortAreTheKey) {
  ScriptedServer one(answer_always(ok_answer("one")));
  ScriptedServer two(answer_always(ok_answer("two")));
  const auto client = make();
  EXPECT_EQ(fetch(*client, one.url()), "200 one");
  EXPECT_EQ(fetch(*client, two.url()), "200 two");
  Url by_name = one.url();
  by_name.host = "localhost";
  EXPECT_EQ(fetch(*client, by_name), "200 one");
  EXPECT_EQ(one.accepted(), 2U);
  EXPECT_EQ(fetch_briefly(*client, get(one.url("/", true))), "timeout");  // waits for a ServerHello
  EXPECT_EQ(one.accepted(), 3U);
}

TEST(ClientReuse, WhatTheServerEndsIsNotReused) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 smuggled\r\n\r\n"}) {
    ScriptedServer server(answer_always(answer));
    const auto client = make();
    EXPECT_EQ(fetch(*client, server.url()), "200 ok");
    EXPECT_EQ(fetch(*client, server.url()), "200 ok");
    EXPECT_EQ(server.accepted(), 2U) << answer;
  }
}

TEST(ClientReuse, AnIdleConnectionThatBroughtBytesIsNotReused) {
  std::latch written(1);
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    peer.write(ok_answer());
    if (peer.index() == 0) {
      peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
      written.count_down();
    }
    peer.hang();
  });
  const auto client = make();
  EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  written.wait();
  EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  EXPECT_EQ(server.accepted(), 2U);
}

TEST(ClientReuse, AnErrorIsTheEndOfItsConnection) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    if (peer.index() == 0) peer.hang();
    peer.write(ok_answer());
  });
  const auto client = make();
  EXPECT_EQ(fetch_briefly(*client, get(server.url())), "timeout");
  EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  EXPECT_EQ(server.accepted(), 2U);
}

// Answers the first request of its first connection, reads the second and fails it.
ScriptedServer::Script fails_second(const std::string& last_words) {
  return [last_words](Peer& peer) {
    while (!peer.read_head().empty()) {
      if (peer.index() > 0) {
        peer.write(ok_answer("again"));
        continue;
      }
      peer.write(ok_answer());
      peer.read_head();
      peer.write(last_words);
      return;
    }
  };
}

TEST(ClientRetry, AGetOrHeadThatFailsOnAReusedConnectionIsSentOnceMore) {
  for (const char* method : {"GET", "HEAD"}) {
    ScriptedServer server(fails_second(""));
    const auto client = make();
    EXPECT_EQ(fetch(*client, server.url()), "200 ok");
    const auto again = client->send(with_method(method, server.url()), soon());
    EXPECT_TRUE(again.has_value()) << method;
    EXPECT_EQ(server.accepted(), 2U);
  }
}

TEST(ClientRetry, OtherMethodsAreNotRepeated) {
  for (const char* method : {"POST", "PATCH", "PUT", "DELETE"}) {
    ScriptedServer server(fails_second(""));
    const auto client = make();
    EXPECT_EQ(fetch(*client, server.url()), "200 ok");
    EXPECT_EQ(text(client->send(with_method(method, server.url()), soon())), "unavailable");
    EXPECT_EQ(server.accepted(), 1U) << method;
  }
}

TEST(ClientRetry, AnAnswerThatBeganIsNotAskedForAgain) {
  ScriptedServer server(fails_second("HTTP/1.1 2"));
  const auto client = make();
  EXPECT_EQ(fetch(*client, server.url()), "200 ok");
  EXPECT_EQ(fetch(*client, server.url()), "unavailable");
  EXPECT_EQ(server.accepted(), 1U);
}

TEST(ClientRetry, ANewConnectionIsNotTriedTwice) {
  ScriptedServer server([](Peer& peer) { peer.read_head(); });
  EXPECT_EQ(fetch(*make(), server.url()), "unavailable");
  EXPECT_EQ(server.accepted(), 1U);
}

// --- TLS ------------------------------------------------------------------------------------

class ClientTls : public ::testing::Test {
 protected:
  static ClientOptions trusting(const TestCa& ca) {
    ClientOptions options;
    options.trust.ca_pem = ca.certificate_pem();
    return options;
  }
  // What a client that trusts `ca_` gets from a server with this certificate.
  std::string fetch_from(const testing::LeafOptions& leaf, const std::string& host = "127.0.0.1",
                         const std::string& address = "127.0.0.1") {
    ScriptedServer server(answer_always_tls(server_context(ca_.issue(leaf)), ok_answer()), address);
    Url url = server.url("/", true);
    url.host = host;
    return fetch(*make(trusting(ca_)), url);
  }
  const TestCa ca_;
};

TEST_F(ClientTls, ATrustedServerAnswersOverOneConnection) {
  ScriptedServer server(answer_always_tls(server_context(ca_.issue()), ok_answer()));
  const auto client = make(trusting(ca_));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(fetch(*client, server.url("/", true)), "200 ok");
  EXPECT_EQ(server.accepted(), 1U);
}

TEST_F(ClientTls, TheNameInTheCertificateMustBeTheHost) {
  EXPECT_EQ(fetch_from({.dns_names = {"localhost"}, .ip_addresses = {}}, "localhost"), "200 ok");
  EXPECT_EQ(fetch_from({.dns_names = {"other.example"}, .ip_addresses = {}}, "localhost"), "tls");
  EXPECT_EQ(
      fetch_from({.common_name = "localhost", .dns_names = {}, .ip_addresses = {}}, "localhost"),
      "tls");
}

TEST_F(ClientTls, AnAddressMustStandInTheCertificateAsAnAddress) {
  EXPECT_EQ(fetch_from({.dns_names = {}, .ip_addresses = {"127.0.0.1"}}), "200 ok");
  EXPECT_EQ(fetch_from({.dns_names = {}, .ip_addresses = {"127.0.0.2"}}), "tls");
  EXPECT_EQ(fetch_from({.dns_names = {"127.0.0.1"}, .ip_addresses = {}}), "tls");
  EXPECT_EQ(fetch_from({.dns_names = {}, .ip_addresses = {"::1"}}, "::1", "::1"), "200 ok");
  EXPECT_EQ(fetch_from({.dns_names = {}, .ip_addresses = {"::2"}}, "::1", "::1"), "tls");
  EXPECT_EQ(fetch_from({.dns_names = {}, .ip_addresses = {"127.0.0.1"}}, "::1", "::1"), "tls");
}

TEST_F(ClientTls, AServerNameStandsInForTheHost) {
  ScriptedServer server(answer_always_tls(
      server_context(ca_.issue({.dns_names = {"kubernetes"}, .ip_addresses = {}})), ok_answer()));
  ClientOptions options = trusting(ca_);
  EXPECT_EQ(fetch(*make(options), server.url("/", true)), "tls");
  options.server_name = "kubernetes";
  EXPECT_EQ(fetch(*make(options), server.url("/", true)), "200 ok");
  options.server_name = "other";
  EXPECT_EQ(fetch(*make(options), server.url("/", true)), "tls");
}

TEST_F(ClientTls, ACertificateHasItsTime) {
  const auto now = std::chrono::system_clock::now();
  EXPECT_EQ(fetch_from({.not_before = now - std::chrono::hours{2},
                        .not_after = now - std::chrono::hours{1}}),
            "tls");
  EXPECT_EQ(fetch_from({.not_before = now + std::chrono::hours{1},
                        .not_after = now + std::chrono::hours{2}}),
            "tls");
}

TEST_F(ClientTls, OnlyTheGivenCaIsTrusted) {
  const TestCa other("Other CA");
  ScriptedServer server(answer_always_tls(server_context(ca_.issue()), ok_answer()));
  EXPECT_EQ(fetch(*make(trusting(other)), server.url("/", true)), "tls");
  EXPECT_EQ(fetch(*make(), server.url("/", true)), "tls");  // nothing is trusted
  ClientOptions system;
  const auto with_system_roots = make_client(system);
  ASSERT_TRUE(with_system_roots.has_value());
  EXPECT_EQ(fetch(**with_system_roots, server.url("/", true)), "tls");
}

TEST_F(ClientTls, AnIntermediateIsFollowedToTheRoot) {
  ScriptedServer server(answer_always_tls(server_context(ca_.intermediate().issue()), ok_answer()));
  EXPECT_EQ(fetch(*make(trusting(ca_)), server.url("/", true)), "200 ok");
}

TEST_F(ClientTls, VerificationIsLeftOutOnlyWhereAskedFor) {
  ScriptedServer server(answer_always_tls(server_context(ca_.issue()), ok_answer()));
  ClientOptions options;
  options.trust.insecure_skip_verify = true;
  EXPECT_EQ(fetch(*make(options), server.url("/", true)), "200 ok");
}

TEST_F(ClientTls, AClientCertificateIsShownWhereAskedFor) {
  const TestCa client_ca("Client CA");
  ScriptedServer server(
      answer_always_tls(server_context(ca_.issue(), client_ca.certificate_pem()), ok_answer()));
  ClientOptions options = trusting(ca_);
  options.trust.client_pair = client_ca.issue({.common_name = "tidemark", .for_client = true});
  EXPECT_EQ(fetch(*make(options), server.url("/", true)), "200 ok");

  EXPECT_NE(fetch(*make(trusting(ca_)), server.url("/", true)).substr(0, 3), "200");
  options.trust.client_pair = ca_.issue({.common_name = "stranger", .for_client = true});
  EXPECT_NE(fetch(*make(options), server.url("/", true)).substr(0, 3), "200");
}

TEST_F(ClientTls, AMixUpOfPlainAndTlsIsAnError) {
  ScriptedServer plain([](Peer& peer) {
    peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.hang();
  });
  EXPECT_EQ(fetch(*make(trusting(ca_)), plain.url("/", true)), "tls");
  ScriptedServer tls(answer_always_tls(server_context(ca_.issue()), ok_answer()));
  EXPECT_EQ(fetch(*make(), tls.url("/", false)), "unavailable");
}

TEST_F(ClientTls, ATruncatedAnswerIsNotTakenForAWholeOne) {
  const auto context = server_context(ca_.issue());
  const auto script = [&](bool cut) {
    return [&context, cut](Peer& peer) {
      if (!peer.start_tls(context)) return;
      peer.read_head();
      peer.write("HTTP/1.1 200 OK\r\n\r\nall of it");
      if (cut) peer.cut();
    };
  };
  ScriptedServer whole(script(false));
  EXPECT_EQ(fetch(*make(trusting(ca_)), whole.url("/", true)), "200 all of it");
  ScriptedServer truncated(script(true));
  EXPECT_EQ(fetch(*make(trusting(ca_)), truncated.url("/", true)), "unavailable");
}

TEST_F(ClientTls, AClosedIdleConnectionIsReplaced) {
  const auto context = server_context(ca_.issue());
  ScriptedServer server([&](Peer& peer) {
    if (!peer.start_tls(context)) return;
    peer.read_head();
    peer.write(ok_answer());
  });
  const auto client = make(trusting(ca_));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(fetch(*client, server.url("/", true)), "200 ok");
  EXPECT_EQ(server.accepted(), 3U);
}

// --- proxies --------------------------------------------------------------------------------

ClientOptions through(const ScriptedServer& proxy) {
  const Proxy both{.url = proxy.url(), .authorization = "Basic cHJveHk6cHc="};
  ClientOptions options;
  options.proxy = {.http = both, .https = both, .no_proxy = {}};
  return options;
}

TEST(ClientProxy, PlainRequestsNameTheirTargetInFull) {
  std::string got;
  {
    ScriptedServer proxy([&](Peer& peer) {
      got = peer.read_head();
      peer.write(ok_answer());
    });
    const auto client = make(through(proxy));
    EXPECT_EQ(fetch(*client, *Url::parse("http://registry.example:5000/v2/?n=1")), "200 ok");
  }
  EXPECT_EQ(got,
            "GET http://registry.example:5000/v2/?n=1 HTTP/1.1\r\nHost: registry.example:5000\r\n"
            "Accept-Encoding: identity\r\nProxy-Authorization: Basic cHJveHk6cHc=\r\n\r\n");
}

TEST(ClientProxy, TlsGoesThroughATunnelThatTheProxyCannotRead) {
  const TestCa ca;
  const auto context = server_context(ca.issue({.dns_names = {"registry.example"}}));
  std::vector<std::string> got;
  {
    ScriptedServer proxy([&](Peer& peer) {  // and the target behind it
      got.push_back(peer.read_head());
      peer.write("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n");
      if (!peer.start_tls(context)) return;
      for (int i = 0; i < 2; ++i) {
        got.push_back(peer.read_head());
        peer.write(ok_answer());
      }
      peer.hang();
    });
    ClientOptions options = through(proxy);
    options.trust.ca_pem = ca.certificate_pem();
    const auto client = make(options);
    EXPECT_EQ(fetch(*client, *Url::parse("https://registry.example/v2/")), "200 ok");
    EXPECT_EQ(fetch(*client, *Url::parse("https://registry.example/v3/")), "200 ok");
    EXPECT_EQ(proxy.accepted(), 1U);  // the tunnel is reused
  }
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(got[0],
            "CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\n"
            "Proxy-Authorization: Basic cHJveHk6cHc=\r\n\r\n");
  EXPECT_EQ(got[1],
            "GET /v2/ HTTP/1.1\r\nHost: registry.example\r\nAccept-Encoding: identity\r\n\r\n");
}

TEST(ClientProxy, TheTargetsIdentityIsCheckedThroughTheTunnel) {
  const TestCa ca;
  const auto context = server_context(ca.issue({.dns_names = {"evil.example"}}));
  ScriptedServer proxy([&](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\n\r\n");
    peer.start_tls(context);
    peer.hang();
  });
  ClientOptions options = through(proxy);
  options.trust.ca_pem = ca.certificate_pem();
  EXPECT_EQ(fetch(*make(options), *Url::parse("https://registry.example/")), "tls");
}

TEST(ClientProxy, AProxyThatFailsIsUnavailable) {
  for (const std::string answer :
       {"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "garbage\r\n",
        "HTTP/1.1 200 OK\r\n\r\nbytes that no target has sent", ""}) {
    ScriptedServer proxy([&](Peer& peer) {
      peer.read_head();
      peer.write(answer);
    });
    EXPECT_EQ(fetch(*make(through(proxy)), *Url::parse("https://registry.example/")), "unavailable")
        << answer;
  }
}

TEST(ClientProxy, AProxyThatHangsIsCutByTheDeadline) {
  ScriptedServer proxy([](Peer& peer) { peer.hang(); });
  const auto client = make(through(proxy));
  EXPECT_EQ(fetch_briefly(*client, get(*Url::parse("https://registry.example/"))), "timeout");
  EXPECT_EQ(fetch_briefly(*client, get(*Url::parse("http://registry.example/"))), "timeout");
}

TEST(ClientProxy, ThePolicyChecksLiteralTargetsAndNotTheProxy) {
  ScriptedServer proxy(answer_always(ok_answer()));
  ClientOptions options = through(proxy);
  options.addresses = *AddressPolicy::make({});  // would refuse the proxy's own 127.0.0.1
  const auto client = make(options);
  for (const char* url :
       {"http://169.254.169.254/latest/", "https://169.254.169.254/", "http://[fe80::1]/",
        "http://2852039166/", "http://[::ffff:a9fe:a9fe]/"}) {
    EXPECT_EQ(fetch(*client, *Url::parse(url)), "forbidden") << url;
  }
  EXPECT_EQ(proxy.accepted(), 0U);
  EXPECT_EQ(fetch(*client, *Url::parse("http://registry.example/")), "200 ok");
}

TEST(ClientProxy, ExceptionsGoDirectly) {
  ScriptedServer proxy(answer_always(ok_answer("proxy")));
  ScriptedServer server(answer_always(ok_answer("direct")));
  EXPECT_EQ(fetch(*make(through(proxy)), server.url()), "200 direct");
  EXPECT_EQ(proxy.accepted(), 0U);
}

// --- streams --------------------------------------------------------------------------------

HttpClient::StreamLimits relaxed() {
  return {.headers = soon(), .idle = seconds{20}, .whole = soon()};
}

TEST(ClientStream, PiecesArriveAsTheyAreSent) {
  std::latch first_seen(1);
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n");
    first_seen.wait();  // the second piece exists only after the first was handed out
    peer.write("7\r\nsecond\n\r\n0\r\n\r\n");
    peer.read_head();
    peer.write(ok_answer());
  });
  const auto client = make();
  std::string all;
  Request request = get(server.url());
  request.max_body_bytes = 3;  // bounds errors only
  const auto response = client->stream(request, relaxed(), [&](std::string_view piece) {
    if (all.empty()) first_seen.count_down();
    all += piece;
    return true;
  });
  EXPECT_EQ(text(response), "200 ");
  EXPECT_EQ(all, "first\nsecond\n");
  EXPECT_EQ(fetch(*client, server.url()), "200 ok");  // read to its end: reused
  EXPECT_EQ(server.accepted(), 1U);
}

// The outcome of a stream from a server that sends a head, `body`, and then what `after` does.
std::string streamed(const std::string& body, const std::function<void(Peer&)>& after,
                     const HttpClient::StreamLimits& limits) {
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
    after(peer);
  });
  std::string all;
  const auto begin = std::chrono::steady_clock::now();
  const auto response = make()->stream(get(server.url()), limits, [&](std::string_view piece) {
    all += piece;
    return true;
  });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPromptly);
  return text(response) + '|' + all;
}

TEST(ClientStream, SilenceEndsIt) {
  HttpClient::StreamLimits limits = relaxed();
  limits.idle = kShort;
  EXPECT_EQ(streamed(
                "2\r\nab\r\n", [](Peer& peer) { peer.hang(); }, limits),
            "timeout|ab");
}

TEST(ClientStream, TheWholeHasAnEndWhateverArrives) {
  HttpClient::StreamLimits limits = relaxed();
  limits.whole = Deadline::after(milliseconds{300});
  const auto result = streamed(
      "",
      [](Peer& peer) {
        while (peer.trickle("1\r\nx\r\n", milliseconds{1})) {
        }
      },
      limits);
  EXPECT_EQ(result.substr(0, 9), "timeout|x");
}

TEST(ClientStream, ASlowStreamWithinItsIdleTimeGoesOn) {
  HttpClient::StreamLimits limits = relaxed();
  limits.idle = seconds{10};
  limits.headers = Deadline::after(seconds{10});
  EXPECT_EQ(
      streamed(
          "", [](Peer& peer) { peer.trickle("1\r\nx\r\n0\r\n\r\n", milliseconds{5}); }, limits),
      "200 |x");
}

TEST(ClientStream, TheHeadHasADeadlineOfItsOwn) {
  ScriptedServer server([](Peer& peer) { peer.hang(); });
  HttpClient::StreamLimits limits = relaxed();
  limits.headers = Deadline::after(kShort);
  EXPECT_EQ(text(make()->stream(get(server.url()), limits, [](auto) { return true; })), "timeout");
}

TEST(ClientStream, ABrokenOneIsUnavailable) {
  EXPECT_EQ(streamed(
                "2\r\nab\r\n5\r\nc", [](Peer&) {}, relaxed()),
            "unavailable|abc");
  EXPECT_EQ(streamed(
                "2\r\nab\r\n", [](Peer&) {}, relaxed()),
            "unavailable|ab");
}

TEST(ClientStream, ASinkThatHasEnoughEndsItWithoutAnError) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    peer.hang();
  });
  const auto client = make();
  EXPECT_EQ(text(client->stream(get(server.url()), relaxed(), [](auto) { return false; })), "200 ");
}

TEST(ClientStream, AStopEndsIt) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    peer.hang();
  });
  std::stop_source stop;
  std::latch first_seen(1);
  const std::jthread stopper([&] {
    first_seen.wait();
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto response = make()->stream(
      get(server.url()), relaxed(),
      [&](auto) {
        first_seen.count_down();
        return true;
      },
      stop.get_token());
  EXPECT_EQ(text(response), "canceled");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPromptly);
}

TEST(ClientStream, OtherAnswersAreCollectedWithinTheirBound) {
  ScriptedServer server(answer_always("HTTP/1.1 410 Gone\r\nContent-Length: 7\r\n\r\nexpired"));
  const auto client = make();
  const auto never = [](auto) {
    ADD_FAILURE() << "an error was streamed";
    return true;
  };
  Request request = get(server.url());
  EXPECT_EQ(text(client->stream(request, relaxed(), never)), "410 expired");
  request.max_body_bytes = 6;
  EXPECT_EQ(text(client->stream(request, relaxed(), never)), "too_large");
}

// --- all at once ----------------------------------------------------------------------------

TEST(ClientConcurrency, ManyThreadsShareOneClient) {
  constexpr int kThreads = 32;
  constexpr int kRequests = 25;
  const TestCa ca;
  ScriptedServer plain(answer_always(ok_answer("plain")));
  ScriptedServer tls(answer_always_tls(server_context(ca.issue()), ok_answer("tls")));
  // Closes after each second answer: stale connections and retries happen all the time.
  ScriptedServer closing([](Peer& peer) {
    for (int i = 0; i < 2 && !peer.read_head().empty(); ++i) peer.write(ok_answer("closing"));
  });
  ClientOptions options;
  options.trust.ca_pem = ca.certificate_pem();
  const auto client = make(options);
  std::atomic<int> good = 0;
  std::atomic<int> canceled = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < kRequests; ++i) {
          good += fetch(*client, plain.url()) == "200 plain" ? 1 : 0;
          good += fetch(*client, tls.url("/", true)) == "200 tls" ? 1 : 0;
          good += fetch(*client, closing.url()) == "200 closing" ? 1 : 0;
          std::stop_source stop;
          const std::jthread stopper([&] { stop.request_stop(); });
          const auto response = client->send(get(plain.url()), soon(), stop.get_token());
          canceled += response || response.error().kind == ErrorKind::kCanceled ? 1 : 0;
        }
      });
    }
  }
  EXPECT_EQ(good, 3 * kThreads * kRequests);
  EXPECT_EQ(canceled, kThreads * kRequests);  // each stop ends in an answer or in kCanceled
}

}  // namespace
}  // namespace tidemark::net
