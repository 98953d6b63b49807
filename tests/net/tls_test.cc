#include "net/tls.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "net/connection.h"
#include "support/test_certificates.h"

namespace tidemark::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::LeafOptions;
using testing::TestCa;

Deadline late() { return Deadline::after(milliseconds{10'000}); }

// Both sides of one handshake over a socket pair.
struct Handshake {
  Status server;
  Status client;
};
Handshake shake_hands(const std::shared_ptr<SSL_CTX>& server_context,
                      const std::shared_ptr<SSL_CTX>& client_context, const std::string& host) {
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  Connection server(Fd{fds[0]}, -1, {});
  Handshake result;
  std::jthread accepting([&] { result.server = server.accept_tls(server_context, late()); });
  {
    Connection client(Fd{fds[1]}, -1, {});
    result.client = client.connect_tls(client_context, host, late());
    // TLS 1.3: the client is done before the server has judged its certificate.
    std::array<char, 1> byte{};
    if (result.client) static_cast<void>(client.read(byte, Deadline::after(milliseconds{1})));
  }
  accepting.join();
  return result;
}

std::shared_ptr<SSL_CTX> serving(const KeyPair& pair) {
  ServerCertificate certificate;
  const Status loaded = certificate.load(pair);
  EXPECT_TRUE(loaded) << loaded.error().message;
  return certificate.context();
}

std::shared_ptr<SSL_CTX> trusting(const TestCa& ca) {
  return *make_client_context({.system_roots = false, .ca_pem = ca.certificate_pem()});
}

TEST(ServerCertificate, HasNoContextUntilOneIsLoaded) {
  ServerCertificate certificate;
  EXPECT_EQ(certificate.context(), nullptr);
  EXPECT_EQ(certificate.not_after(), std::nullopt);
}

TEST(ServerCertificate, KnowsWhenItEnds) {
  const WallTime end{std::chrono::seconds{2'000'000'000}};
  ServerCertificate certificate;
  ASSERT_TRUE(certificate.load(TestCa().issue({.not_after = end})));
  EXPECT_EQ(certificate.not_after(), end);
}

TEST(ServerCertificate, RefusesWhatDoesNotBelongTogetherAndKeepsTheOld) {
  const TestCa ca;
  const KeyPair good = ca.issue();
  const KeyPair other = ca.issue();
  ServerCertificate certificate;
  ASSERT_TRUE(certificate.load(good));
  const auto before = certificate.context();

  const std::string half = good.certificate_pem.substr(0, good.certificate_pem.size() / 2);
  for (const KeyPair& bad : {
           KeyPair{.certificate_pem = good.certificate_pem, .key_pem = other.key_pem},
           KeyPair{.certificate_pem = "", .key_pem = good.key_pem},
           KeyPair{.certificate_pem = "garbage", .key_pem = good.key_pem},
           KeyPair{.certificate_pem = half, .key_pem = good.key_pem},
           KeyPair{.certificate_pem = good.certificate_pem + half, .key_pem = good.key_pem},
           KeyPair{.certificate_pem = good.certificate_pem, .key_pem = "garbage"},
           KeyPair{.certificate_pem = good.key_pem, .key_pem = good.certificate_pem},
       }) {
    const Status loaded = certificate.load(bad);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(loaded.error().message.find("PRIVATE"), std::string::npos);
    EXPECT_EQ(certificate.context(), before);
  }
  EXPECT_EQ(certificate.load({.certificate_pem = std::string(2'000'000, 'x'), .key_pem = "x"})
                .error()
                .kind,
            ErrorKind::kTooLarge);
}

TEST(ServerCertificate, AnEncryptedKeyIsRefusedWithoutAsking) {
  // What `openssl genpkey -aes256` writes begins so; the body does not matter to the question.
  const std::string encrypted =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  ServerCertificate certificate;
  EXPECT_FALSE(certificate.load(
      {.certificate_pem = TestCa().issue().certificate_pem, .key_pem = encrypted}));
}

TEST(Tls, VerifiesNamesAndAddresses) {
  const TestCa ca;
  const auto server = serving(ca.issue({.dns_names = {"registry.example.com", "*.wild.example.com"},
                                        .ip_addresses = {"10.1.2.3", "2001:db8::1"}}));
  const auto client = trusting(ca);
  for (const std::string good :
       {"registry.example.com", "REGISTRY.example.com", "registry.example.com.",
        "a.wild.example.com", "10.1.2.3", "2001:db8::1", "2001:DB8:0::1"}) {
    const Handshake result = shake_hands(server, client, good);
    EXPECT_TRUE(result.client) << good << ": " << result.client.error().message;
    EXPECT_TRUE(result.server) << good;
  }
  for (const std::string bad : {"example.com", "a.b.wild.example.com", "wild.example.com",
                                "10.1.2.4", "2001:db8::2", "localhost", ""}) {
    const Handshake result = shake_hands(server, client, bad);
    ASSERT_FALSE(result.client) << bad;
    EXPECT_EQ(result.client.error().kind, ErrorKind::kTls) << bad;
  }
}

TEST(Tls, ANameInTheSubjectAloneIsNoIdentity) {
  // RFC 9110, 4.3.4 and Go: only subjectAltName counts. OpenSSL falls back to the common name only
  // where there is no DNS name at all, so the certificate here has one.
  const TestCa ca;
  const auto server = serving(ca.issue({.common_name = "good.example", .dns_names = {"other"}}));
  EXPECT_FALSE(shake_hands(server, trusting(ca), "good.example").client);
}

TEST(Tls, TrustsOnlyTheGivenAuthority) {
  const TestCa ca;
  const TestCa other;
  const Handshake result = shake_hands(serving(ca.issue()), trusting(other), "localhost");
  ASSERT_FALSE(result.client);
  EXPECT_EQ(result.client.error().kind, ErrorKind::kTls);
  EXPECT_NE(result.client.error().message.find("certificate"), std::string::npos)
      << result.client.error().message;
}

TEST(Tls, ABundleTrustsEachOfItsAuthorities) {
  const TestCa one;
  const TestCa two;
  const auto client = *make_client_context(
      {.system_roots = false, .ca_pem = one.certificate_pem() + two.certificate_pem()});
  EXPECT_TRUE(shake_hands(serving(one.issue()), client, "localhost").client);
  EXPECT_TRUE(shake_hands(serving(two.issue()), client, "localhost").client);
}

TEST(Tls, SystemRootsDoNotTrustATestAuthority) {
  const auto client = *make_client_context({});
  ASSERT_TRUE(add_system_roots(client.get()));
  EXPECT_FALSE(shake_hands(serving(TestCa().issue()), client, "localhost").client);
}

TEST(Tls, IntermediatesAreSentAndAnIntermediateAloneCanBeTrusted) {
  const TestCa root;
  const TestCa intermediate = root.intermediate();
  const auto server = serving(intermediate.issue());
  EXPECT_TRUE(shake_hands(server, trusting(root), "localhost").client);
  EXPECT_TRUE(shake_hands(server, trusting(intermediate), "localhost").client);
}

TEST(Tls, RefusesCertificatesOutsideTheirTime) {
  const TestCa ca;
  const WallTime now = std::chrono::system_clock::now();
  const Handshake expired =
      shake_hands(serving(ca.issue({.not_before = now - hours{3}, .not_after = now - hours{1}})),
                  trusting(ca), "localhost");
  ASSERT_FALSE(expired.client);
  EXPECT_NE(expired.client.error().message.find("expired"), std::string::npos)
      << expired.client.error().message;
  EXPECT_FALSE(
      shake_hands(serving(ca.issue({.not_before = now + hours{1}, .not_after = now + hours{2}})),
                  trusting(ca), "localhost")
          .client);
}

TEST(Tls, AClientCertificateDoesNotServe) {
  const TestCa ca;
  EXPECT_FALSE(
      shake_hands(serving(ca.issue({.for_client = true})), trusting(ca), "localhost").client);
}

TEST(Tls, SkippingVerificationIsPossibleOnlyWhereItIsSaid) {
  const auto client =
      *make_client_context({.system_roots = false, .ca_pem = "", .insecure_skip_verify = true});
  EXPECT_TRUE(shake_hands(serving(TestCa().issue()), client, "elsewhere").client);
}

TEST(Tls, TheClientShowsItsCertificateWhereItIsAsked) {
  const TestCa ca;
  const TestCa clients;
  const auto server = serving(ca.issue());
  const auto demand = [&](bool with_pair) {
    TrustOptions trust{.system_roots = false, .ca_pem = ca.certificate_pem()};
    if (with_pair) trust.client_pair = clients.issue({.for_client = true});
    return shake_hands(server, *make_client_context(trust), "localhost").server;
  };
  X509_STORE* store = SSL_CTX_get_cert_store(server.get());
  const std::unique_ptr<BIO, decltype(&BIO_free)> pem(
      BIO_new_mem_buf(clients.certificate_pem().data(), -1), BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> root(
      PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr), X509_free);
  ASSERT_EQ(X509_STORE_add_cert(store, root.get()), 1);
  SSL_CTX_set_verify(server.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  EXPECT_TRUE(demand(true));
  EXPECT_FALSE(demand(false));
}

TEST(Tls, SpeaksNothingOlderThan12) {
  const TestCa ca;
  const auto server = serving(ca.issue());
  const auto client = trusting(ca);
  // Security level 0, or this OpenSSL would not even offer TLS 1.1.
  SSL_CTX_set_security_level(client.get(), 0);
  SSL_CTX_set_cipher_list(client.get(), "ALL:@SECLEVEL=0");
  SSL_CTX_set_min_proto_version(client.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(client.get(), TLS1_1_VERSION);
  const Handshake old = shake_hands(server, client, "localhost");
  EXPECT_FALSE(old.client);
  EXPECT_FALSE(old.server);
  SSL_CTX_set_max_proto_version(client.get(), TLS1_2_VERSION);
  EXPECT_TRUE(shake_hands(server, client, "localhost").client);
}

TEST(ClientContext, NamesWhatDoesNotLoad) {
  const auto bad_ca = make_client_context({.system_roots = false, .ca_pem = "garbage"});
  ASSERT_FALSE(bad_ca);
  EXPECT_EQ(bad_ca.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(bad_ca.error().message.find("CA certificate"), std::string::npos);
  const auto bad_pair =
      make_client_context({.client_pair = KeyPair{.certificate_pem = "x", .key_pem = "y"}});
  ASSERT_FALSE(bad_pair);
  EXPECT_NE(bad_pair.error().message.find("client pair"), std::string::npos);
}

// ---- CertificateFileWatcher ----

class CertificateFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tidemark-tls-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static void write(const std::filesystem::path& path, std::string_view text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  }

  // As the kubelet mounts a Secret: tls.crt -> ..data/tls.crt, ..data -> ..version, swapped by
  // renaming a new symlink over the old one.
  void publish(const std::string& version, const KeyPair& pair) {
    const auto folder = directory_ / (".." + version);
    std::filesystem::create_directory(folder);
    write(folder / "tls.crt", pair.certificate_pem);
    write(folder / "tls.key", pair.key_pem);
    std::filesystem::create_directory_symlink(".." + version, directory_ / "..data_tmp");
    std::filesystem::rename(directory_ / "..data_tmp", directory_ / "..data");
    if (!std::filesystem::exists(directory_ / "tls.crt")) {
      std::filesystem::create_symlink("..data/tls.crt", directory_ / "tls.crt");
      std::filesystem::create_symlink("..data/tls.key", directory_ / "tls.key");
    }
  }

  CertificateFileWatcher::Files files() const {
    return {.certificate = directory_ / "tls.crt", .key = directory_ / "tls.key"};
  }

  // Until `condition` holds, at most ten seconds.
  template <typename Condition>
  static bool eventually(Condition condition) {
    const Deadline deadline = late();
    while (!deadline.expired()) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds{2});
    }
    return condition();
  }

  static constexpr milliseconds kInterval{2};
  std::filesystem::path directory_;
};

TEST_F(CertificateFiles, AMissingOrWrongPairAtTheStartIsAnError) {
  ServerCertificate target;
  const auto missing = CertificateFileWatcher::start(files(), target, Logger::none(), kInterval);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("tls.crt"), std::string::npos);
  publish("1", {.certificate_pem = "x", .key_pem = "y"});
  EXPECT_FALSE(CertificateFileWatcher::start(files(), target, Logger::none(), kInterval));
  EXPECT_EQ(target.context(), nullptr);
}

TEST_F(CertificateFiles, ASwappedSymlinkIsFollowed) {
  const TestCa ca;
  const TestCa next;
  publish("1", ca.issue());
  ServerCertificate target;
  const auto watcher = CertificateFileWatcher::start(files(), target, Logger::none(), kInterval);
  ASSERT_TRUE(watcher) << watcher.error().message;
  EXPECT_TRUE(shake_hands(target.context(), trusting(ca), "localhost").client);
  const auto first = target.context();
  publish("2", next.issue());
  ASSERT_TRUE(eventually([&] { return target.context() != first; }));
  EXPECT_TRUE(shake_hands(target.context(), trusting(next), "localhost").client);
}

TEST_F(CertificateFiles, AWrongPairIsLoggedOnceAndTheOldOneStaysUntilAGoodOneComes) {
  const TestCa ca;
  std::atomic<int> warnings = 0;
  std::atomic<int> lines = 0;
  const Logger log = Logger::to_sink(LogLevel::kInfo, [&](std::string_view line) {
    ++lines;
    if (line.find("\"warn\"") != std::string_view::npos) ++warnings;
  });
  publish("1", ca.issue());
  ServerCertificate target;
  const auto watcher = CertificateFileWatcher::start(files(), target, log, kInterval);
  ASSERT_TRUE(watcher);
  const auto first = target.context();
  publish("2", {.certificate_pem = ca.issue().certificate_pem, .key_pem = ca.issue().key_pem});
  ASSERT_TRUE(eventually([&] { return warnings > 0; }));
  EXPECT_EQ(target.context(), first);
  publish("3", ca.issue());
  ASSERT_TRUE(eventually([&] { return target.context() != first; }));
  ASSERT_TRUE(eventually([&] { return lines == 2; }));
  EXPECT_EQ(warnings, 1);
}

TEST_F(CertificateFiles, AFileThatVanishesForAWhileChangesNothing) {
  publish("1", TestCa().issue());
  std::atomic<int> warnings = 0;
  ServerCertificate target;
  const auto watcher = CertificateFileWatcher::start(
      files(), target, Logger::to_sink(LogLevel::kWarn, [&](std::string_view) { ++warnings; }),
      kInterval);
  ASSERT_TRUE(watcher);
  const auto first = target.context();
  std::filesystem::remove(directory_ / "..data");
  ASSERT_TRUE(eventually([&] { return warnings > 0; }));
  EXPECT_EQ(target.context(), first);
  publish("2", TestCa().issue());
  EXPECT_TRUE(eventually([&] { return target.context() != first; }));
}

}  // namespace
}  // namespace tidemark::net
