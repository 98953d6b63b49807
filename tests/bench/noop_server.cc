// The yardsticks: net::Server with a handler that allows everything.
//
//   noop_server LISTEN CERTIFICATE KEY [ANSWER]
//
// What the webhook costs beyond this is what admission costs; the rest is HTTPS. With ANSWER, a
// file, it decodes each review as the webhook does and answers with the file: that is what an
// admission would cost if there were nothing to find out and to decide.

#include <cstddef>
#include <iostream>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/log.h"
#include "base/shutdown.h"
#include "net/server.h"
#include "net/tls.h"
#include "webhook/decode_review.h"

namespace {

// The uid of tests/data/review-of-three-containers.json.
constexpr std::string_view kAllowed =
    R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":)"
    R"({"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}})";

}  // namespace

int main(int argc, char** argv) {
  using namespace tidemark;
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  const bool decodes = arguments.size() == 5;
  if (arguments.size() != 4 && !decodes) {
    std::cerr << "usage: noop_server LISTEN CERTIFICATE KEY [ANSWER]\n";
    return 2;
  }
  constexpr std::size_t kMaxAnswerBytes = std::size_t{1024} * 1024;
  const auto answer = decodes ? read_file(arguments[4], kMaxAnswerBytes) : std::string(kAllowed);
  if (!answer) {
    std::cerr << answer.error().message << "\n";
    return 1;
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
  webhook::ReviewDecoder decoder;
  const auto server = net::Server::start(
      {.listen = arguments[1], .certificate = &certificate},
      [&](const net::ServerRequest& request) {
        const bool good = !decodes || decoder.decode(request.body, {}).has_value();
        return net::Response{.status = good ? 200 : 400,
                             .headers = {{.name = "Content-Type", .value = "application/json"}},
                             .body = *answer};
      },
      log);
  if (!server) {
    std::cerr << server.error().message << "\n";
    return 1;
  }
  shutdown.wait();
  return 0;
}
