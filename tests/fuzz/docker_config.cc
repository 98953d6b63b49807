// Pull secrets: both formats, and what is looked up in them.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/target.h"
#include "image/reference.h"
#include "registry/credentials.h"

namespace tidemark::fuzz {
namespace {

constexpr std::string_view kSource = "secret a/b";
// Source and a sentence of ours: a longer message would quote the secret.
constexpr std::size_t kMaxMessageBytes = 100;
// A JSON string of a host name, where each byte may have become \u00xx.
constexpr std::size_t kMaxSkippedBytes = 260 * 6;

// Names whose hosts and paths the corpus speaks of.
constexpr std::string_view kImages[] = {
    "nginx",
    "library/nginx:1",
    "registry.test/app:1",
    "registry.test/team/app:1",
    "registry.test:5000/team/app",
    "a.registry.test/app",
    "[::1]:5000/app",
};

using Parse = Result<registry::Keyring> (*)(std::string_view, std::string_view,
                                            std::vector<std::string>*);

std::vector<std::string> identities(const registry::Keyring& keyring, std::string_view image) {
  std::vector<std::string> found;
  for (const auto& credential : keyring.lookup(*image::Reference::parse(image))) {
    require(!credential.anonymous(), "an empty entry is no credential");
    require(credential.source == kSource, "a credential names its source");
    found.push_back(credential.identity());
  }
  return found;
}

void check(Parse parse, std::string_view input) {
  std::vector<std::string> skipped;
  const auto keyring = parse(input, kSource, &skipped);
  if (!keyring) {
    require(keyring.error().kind == ErrorKind::kInvalid, "a bad secret is kInvalid");
    require(keyring.error().message.starts_with(kSource) &&
                keyring.error().message.size() <= kMaxMessageBytes,
            "a message names the source and quotes nothing");
    return;
  }
  for (const std::string& host : skipped) {
    require(host.size() <= kMaxSkippedBytes, "a skipped host has a bound");
  }
  registry::Keyring twice = *keyring;
  twice.append(*keyring);
  for (const std::string_view image : kImages) {
    const auto found = identities(*keyring, image);
    require(std::set(found.begin(), found.end()).size() == found.size(),
            "each credential is tried once");
    require(identities(twice, image) == found, "the same secret twice changes nothing");
    require(found.empty() || !keyring->empty(), "an empty keyring knows nobody");
  }
}

}  // namespace

void run(std::string_view input) {
  check(&registry::Keyring::parse_docker_config_json, input);
  check(&registry::Keyring::parse_docker_cfg, input);
}

}  // namespace tidemark::fuzz
