// ReceiversConfig: where pushes are announced, and by whom.
//
// Purpose: the `receivers` section of the configuration, as values. Secrets are named by file
// alone, so that a configuration can be shown and checked by who may not see them. Thread-safety:
// values. Errors: parse_config's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "push/authenticate.h"
#include "push/payload.h"

namespace tidemark::config {

struct ReceiverSource {
  std::string name;  // a part of its path, and a metric's label: a DNS label
  push::Format format = push::Format::kGeneric;
  push::Options names{};
  push::Proof proof = push::Proof::kToken;
  std::string header{};                             // "": the proof's own
  std::vector<std::filesystem::path> secret_files;  // one at least; any of them will do
};

struct ReceiversConfig {
  std::string listen;                                     // "": none
  std::optional<std::filesystem::path> certificate_file;  // with key_file: TLS
  std::optional<std::filesystem::path> key_file;
  std::vector<ReceiverSource> sources;
};

}  // namespace tidemark::config
