// The yardstick: net::Server with a handler that allows everything.
//
//   noop_server LISTEN CERTIFICATE KEY
//
// What the webhook costs beyond this is what admission costs; the rest is HTTPS.

#include <iostream>
#include <span>
#include <string>

#include "base/log.h"
#include "base/shutdown.h"
#include "net/server.h"
#include "net/tls.h"

namespace {

// The uid of tests/data/review-of-three-containers.json.
constexpr const char* kAllowed =
    R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":)"
    R"({"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}})";

}  // namespace

int main(int argc, char** argv) {
  using namespace tidemark;
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 4) {
    std::cerr << "usage: noop_server LISTEN CERTIFICATE KEY\n";
    return 2;
  }
  const ShutdownSignal shutdown;
  const Logger log = Logger::to_stderr(LogLevel::kWarn);
  net::ServerCertificate certificate;
  const auto watcher =
      net::CertificateFileWatcher::start({.certificate = arguments[2], .key = arguments[3]},
                                         certificate, log, std::chrono::milliseconds{10'000});
  if (!watcher) {
    std::cerr << watcher.error().message << "\n";
    return 1;
  }
  const auto server = net::Server::start(
      {.listen = arguments[1], .certificate = &certificate},
      [](const net::ServerRequest&) {
        return net::Response{.status = 200,
                             .headers = {{.name = "Content-Type", .value = "application/json"}},
                             .body = kAllowed};
      },
      log);
  if (!server) {
    std::cerr << server.error().message << "\n";
    return 1;
  }
  shutdown.wait();
  return 0;
}
