// Config: the one YAML file that both programs read, as plain values.
//
// Purpose: every setting of a program has its default, its name and its check here. Flags override
// it (webhook/options, sweeper/options); ${ENV} is substituted (an unset variable is an error, $${
// stands for ${); an unknown or repeated key is an error that names file, line and key.
// Thread-safety: values. Errors: kInvalid ("config.yaml:12: unknown key \"registrys\" (known:
// ..."), kNotFound for a file that cannot be opened, kTooLarge past 1 MiB. Keys and bounds:
// README.md.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cron.h"
#include "base/log.h"
#include "base/result.h"
#include "config/git.h"
#include "config/notifications.h"
#include "config/receivers.h"
#include "registry/options.h"
#include "workload/kind.h"
#include "workload/settings.h"

namespace tidemark::config {

struct WebhookConfig {
  std::string listen = ":8443";
  std::chrono::milliseconds deadline{2000};  // below the manifests' timeoutSeconds: 3
  bool require = false;                      // deny instead of admitting unstamped
  bool pin_on_rollback = true;               // stamp contract, rule 5
  bool warn_on_latest = false;               // of the tag latest where mode is pin
};

struct SweeperConfig {
  std::chrono::milliseconds interval{60'000};
  std::optional<Cron> schedule;         // instead of the interval
  std::vector<std::string> namespaces;  // empty: all
  std::vector<std::string> exclude_namespaces;
  std::string label_selector;  // as kubectl's -l and --field-selector; the API server reads them
  std::string field_selector;
  std::size_t check_concurrency = 16;  // registry requests under way at once
  std::size_t max_rollouts = 20;       // under way at once: in all, of a namespace, of an image
  std::size_t max_rollouts_per_namespace = 10;
  std::size_t max_rollouts_per_image = 10;
  std::chrono::milliseconds list_tags_every{300'000};  // of repositories that a policy looks at
  bool compare_platforms = false;  // an index with the same images has not moved
  bool adopt = true;         // write down what workloads without stamps run (tidemark.dev/baseline)
  bool waves = true;         // one workload of an image first, then a tenth, then the rest
  bool serve_status = true;  // answer `status` from memory; the leader then watches pods too
  std::string ui_listen;     // of the status page; "": none
};

// One value of the file, for people and for a reload.
struct Setting {
  std::string key;      // "registries[0].host"
  std::string shown;    // what may be shown of it: no variable's content, no secret
  std::string written;  // as it stands in the file
};

struct Config {
  LogLevel log_level = LogLevel::kInfo;
  std::string ops_listen = ":8080";
  WebhookConfig webhook;
  SweeperConfig sweeper;
  workload::Settings defaults;  // of user-set keys: sweep, mode, stamp, ...
  bool read_secrets = true;     // pull secrets; false: a mode with no access to Secrets at all
  registry::ResolverOptions registries;
  ReceiversConfig receivers;
  NotificationsConfig notifications;
  std::vector<NamedPolicy> policies;
  GitConfig git;
  workload::KindTable kinds;      // the built-in ones and the configured
  std::vector<Setting> settings;  // all that the file says, in its order
  // What was read: the file itself and those whose content is part of the configuration (caFile,
  // certFile, keyFile of registries).
  std::map<std::filesystem::path, std::string> files;
};

// How a ${NAME} is looked up; the programs pass getenv.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

Result<Config> parse_config(std::string_view yaml, std::string_view file_name,
                            const Environment& environment);
Result<Config> load_config(const std::filesystem::path& file, const Environment& environment);
// std::getenv: nothing here ever changes the environment, so that any thread may ask.
Environment process_environment();

// The JSON Schema (2020-12) of the file, made by the readers themselves: deploy/config.schema.json.
std::string config_schema();
// What `check-config` prints of a configuration that is fine: a line for each value, no secrets.
std::string describe(const Config& config);

}  // namespace tidemark::config
