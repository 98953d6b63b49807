// Pushes: the first byte chooses the format, the rest is the body. What comes out is inside the
// bounds, each name once, all of them tags that are read again as the same; and the configured
// registry is the only one where it was asked to win.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/target.h"
#include "push/authenticate.h"
#include "push/payload.h"

namespace tidemark::fuzz {
namespace {

constexpr const char* kOwn = "own.test:5000";

void require_references(const std::vector<image::Reference>& references) {
  require(references.size() <= push::kMaxReferences, "references have a bound");
  std::set<std::string> seen;
  for (const image::Reference& reference : references) {
    require(reference.tag().has_value(), "a push is of a tag");
    require(!reference.digest(), "no digest of a payload comes out");
    const std::string name = reference.str();
    require(seen.insert(name).second, "each name comes once");
    const auto again = image::Reference::parse(name);
    require(again && *again == reference, "a name is read again as the same");
  }
}

void check(push::Format format, std::string_view body, const push::Options& options) {
  const auto references = push::parse_push(format, body, options);
  if (!references) {
    const ErrorKind kind = references.error().kind;
    require(kind == ErrorKind::kInvalid || kind == ErrorKind::kTooLarge,
            "an error is the sender's");
    require(references.error().message.find('\n') == std::string::npos, "a message is one line");
    return;
  }
  require_references(*references);
  const bool names_are_whole =
      format == push::Format::kGeneric || format == push::Format::kCloudEvents;
  for (const image::Reference& reference : *references) {
    require(!options.registry_wins || names_are_whole || reference.registry() == kOwn,
            "the configured registry wins");
  }
}

// Nobody is taken for the sender by showing the input, as whatever.
void require_refusals(std::string_view input) {
  const std::array headers = {push::Header{"Authorization", input},
                              push::Header{"X-Hub-Signature-256", input},
                              push::Header{"X-Nexus-Webhook-Signature", input}};
  for (const push::Proof proof :
       {push::Proof::kToken, push::Proof::kHmacSha256, push::Proof::kHmacSha1}) {
    const push::Sender nobody{.proof = proof, .secrets = {""}};
    require(!push::authenticate(nobody, headers, input, input), "an empty secret opens nothing");
    const push::Sender someone{.proof = proof, .secrets = {"7d1f0c5a9be84f6c"}};
    require(!push::authenticate(someone, headers, {}, input) ||
                input.find("7d1f0c5a9be84f6c") != std::string_view::npos,
            "only who knows the secret is let in");
  }
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const auto choice = static_cast<unsigned char>(input.front());
  const push::Format format = push::kFormats.at(choice % push::kFormats.size());
  input.remove_prefix(1);
  check(format, input, {});
  check(format, input, {.registry = kOwn});
  check(format, input, {.registry = kOwn, .registry_wins = true});
  require_refusals(input);
}

}  // namespace tidemark::fuzz
