// Options: flags and configuration file of tidemark-webhook, as one plain struct.
//
// Purpose: the only reader of the command line. Flags override the file. Thread-safety: pure, but
// for reading the file. Errors: a Stop with exit code 2 whose text names the flag or the key.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "config/config.h"

namespace tidemark::webhook {

// --tls-cert and --tls-key: whoever mounts them rotates them.
struct CertificateFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

// --self-signed: kept in a Secret beside the Service, published in the webhook configuration.
struct SelfSigned {
  std::string service_namespace;
  std::string service_name;
  std::string webhook_configuration;
  std::string secret_name;
  std::chrono::seconds lifetime = std::chrono::days{90};
};

struct Options {
  config::Config config;  // the file's, with the flags applied
  // The same of the file as it is when this is called; empty without a file.
  std::function<Result<config::Config>()> reload;
  std::variant<CertificateFiles, SelfSigned> certificate;
  std::filesystem::path kubeconfig;
  std::string sweeper_user;
  // After SIGTERM: how long new connections are still accepted (endpoints need time to change,
  // kubernetes#127335).
  std::chrono::milliseconds drain{10'000};
};

// The program ends here: --help, --version, manifest, schema, check-config (0), or something wrong
// (2).
struct Stop {
  int exit_code = 0;
  std::string text;  // to standard output where the code is 0, else to standard error
};

std::variant<Options, Stop> parse_options(std::span<const char* const> arguments,
                                          const config::Environment& environment);

}  // namespace tidemark::webhook
