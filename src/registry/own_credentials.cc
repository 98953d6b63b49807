#include "registry/own_credentials.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/file.h"

namespace tidemark::registry {
namespace {

// Kubernetes' own bound of a Secret (core/v1 MaxSecretSize).
constexpr std::size_t kMaxFileBytes = std::size_t{1024} * 1024;

Result<Keyring> read_keyring(const std::filesystem::path& file) {
  const auto text = read_file(file, kMaxFileBytes);
  if (!text) return fail(text.error());
  return Keyring::parse_docker_config_json(*text, file.string());
}

bool is_refusal(ErrorKind kind) {
  return kind == ErrorKind::kUnauthorized || kind == ErrorKind::kForbidden ||
         kind == ErrorKind::kNotFound;
}

void append(std::vector<Credential>& out, std::vector<Credential> more) {
  for (Credential& credential : more) {
    const auto known = std::ranges::find(out, credential.identity(), &Credential::identity);
    if (known == out.end()) out.push_back(std::move(credential));
  }
}

Query with(Query query, const RegistryOptions& options, std::vector<Credential> own) {
  if (!options.send_credentials) query.credentials.clear();
  append(query.credentials, std::move(own));
  return query;
}

}  // namespace

OwnCredentials::OwnCredentials(const Endpoints& endpoints, ReadSecret read_secret, Resolver& next,
                               const Clock& clock, Logger log)
    : endpoints_(endpoints),
      read_secret_(std::move(read_secret)),
      next_(next),
      clock_(clock),
      log_(std::move(log)) {}

Status OwnCredentials::configure(const ResolverOptions& options) {
  std::vector<std::string> names = {options.docker_config_file};
  for (const RegistryOptions& registry : options.registries) {
    names.push_back(registry.docker_config_file);
    if (!registry.secret.empty() && !read_secret_) {
      return fail(ErrorKind::kInvalid, "registry " + registry.host + ": Secrets are not read here");
    }
  }
  std::map<std::string, File> files;
  for (const std::string& name : names) {
    if (name.empty() || files.contains(name)) continue;
    auto keyring = read_keyring(name);
    if (!keyring) return fail(within("own registry credentials", keyring.error()));
    files.emplace(name, File{.keyring = std::move(*keyring), .read_at = clock_.steady_now()});
  }
  const std::lock_guard lock(mutex_);
  file_ = options.docker_config_file;
  files_.swap(files);
  std::erase_if(secrets_, [&](const auto& kept) {
    return std::ranges::find(options.registries, kept.first, &RegistryOptions::secret) ==
           options.registries.end();
  });
  return {};
}

bool OwnCredentials::leaves_alone(const RegistryOptions& options) {
  if (!options.send_credentials || !options.secret.empty() || !options.docker_config_file.empty()) {
    return false;
  }
  const std::lock_guard lock(mutex_);
  return file_.empty();
}

std::vector<Credential> OwnCredentials::from_file(const std::string& file,
                                                  const image::Reference& reference) {
  const auto found = files_.find(file);
  if (found == files_.end()) return {};
  if (const SteadyTime now = clock_.steady_now(); now - found->second.read_at >= kReread) {
    found->second.read_at = now;
    if (auto keyring = read_keyring(file)) {
      found->second.keyring = std::move(*keyring);
    } else {
      log_.warn("own registry credentials stay as they were read before",
                {{"cause", keyring.error().message}});
    }
  }
  return found->second.keyring.lookup(reference);
}

std::optional<OwnCredentials::Kept> OwnCredentials::kept(const std::string& secret) {
  const std::lock_guard lock(mutex_);
  const auto found = secrets_.find(secret);
  if (found == secrets_.end()) return std::nullopt;
  const auto longest = found->second.problem.empty() ? kRereadSecret : kReread;
  if (clock_.steady_now() - found->second.read_at >= longest) return std::nullopt;
  return found->second;
}

OwnCredentials::Kept OwnCredentials::read(const std::string& secret, Deadline deadline,
                                          const std::stop_token& stop) {
  const std::size_t slash = std::min(secret.find('/'), secret.size());
  const auto asked = reads_.run(secret, deadline, stop, [&]() -> Result<Kept> {
    Kept now{.secret = {}, .problem = {}, .read_at = clock_.steady_now()};
    const std::string source = "secret " + secret;
    auto data = read_secret_(secret.substr(0, slash), secret.substr(slash + 1), deadline, stop);
    auto read = data ? read_registry_secret(data->type, data->data, source)
                     : Result<RegistrySecret>(fail(within(source, data.error())));
    if (read) {
      now.secret = std::move(*read);
    } else {
      now.problem = read.error().message;
      now.passing = read.error().retryable();
      log_.warn("a registry's own credentials cannot be read", {{"cause", now.problem}});
    }
    const std::lock_guard lock(mutex_);
    Kept& entry = secrets_[secret];
    if (!now.secret) now.secret = std::move(entry.secret);
    entry = now;
    return now;
  });
  if (asked) return *asked;
  return Kept{.secret = {},
              .problem = "secret " + secret + ": " + asked.error().message,
              .passing = true,
              .read_at = clock_.steady_now()};
}

std::vector<Credential> OwnCredentials::own_of(const Query& query, const RegistryOptions& options,
                                               const std::optional<Kept>& secret) {
  std::vector<Credential> own;
  if (!options.send_credentials) return own;
  if (secret && secret->secret) {
    append(own, secret->secret->keyring.lookup(query.reference));
    if (secret->secret->credential) append(own, {*secret->secret->credential});
  }
  const std::lock_guard lock(mutex_);
  append(own, from_file(options.docker_config_file, query.reference));
  append(own, from_file(file_, query.reference));
  return own;
}

Query OwnCredentials::with_own(const Query& query, const RegistryOptions& options,
                               const std::optional<Kept>& secret) {
  return with(query, options, own_of(query, options, secret));
}

template <typename Ask>
auto OwnCredentials::ask_with_credentials(const Query& query, Deadline deadline,
                                          const std::stop_token& stop, Ask ask)
    -> std::invoke_result_t<Ask, const Query&> {
  const auto options = endpoints_.options_of(query.reference.registry());
  if (options->secret.empty() || !read_secret_) {
    return ask(with_own(query, *options, {}));
  }
  // The registry still has the other half of the time.
  const auto read_again = [&] {
    return read(options->secret, deadline.at_most(deadline.remaining() / 2), stop);
  };
  std::optional<Kept> secret = kept(options->secret);
  const bool remembered = secret.has_value();
  if (!secret) secret = read_again();
  const Query first = with_own(query, *options, secret);
  auto result = ask(first);
  if (result || !is_refusal(result.error().kind)) return result;
  if (remembered && result.error().kind != ErrorKind::kNotFound) {
    secret = read_again();
    const Query second = with_own(query, *options, secret);
    if (!std::ranges::equal(first.credentials, second.credentials, {}, &Credential::identity,
                            &Credential::identity)) {
      result = ask(second);
    }
  }
  if (!result && is_refusal(result.error().kind) && !secret->problem.empty()) {
    result.error().message += "; " + secret->problem;
    if (secret->passing) result.error().kind = ErrorKind::kUnavailable;
  }
  return result;
}

Result<Resolution> OwnCredentials::resolve(const Query& query, Deadline deadline,
                                           std::stop_token stop) {
  return ask_with_credentials(query, deadline, stop, [&](const Query& with_them) {
    return next_.resolve(with_them, deadline, stop);
  });
}

Result<TagList> OwnCredentials::tags(const Query& query, Deadline deadline, std::stop_token stop) {
  return ask_with_credentials(query, deadline, stop, [&](const Query& with_them) {
    return next_.tags(with_them, deadline, stop);
  });
}

Result<Creation> OwnCredentials::created(const Query& query, Deadline deadline,
                                         std::stop_token stop) {
  return ask_with_credentials(query, deadline, stop, [&](const Query& with_them) {
    return next_.created(with_them, deadline, stop);
  });
}

std::optional<Result<Resolution>> OwnCredentials::known(const Query& query) {
  const auto options = endpoints_.options_of(query.reference.registry());
  std::optional<Kept> secret;
  if (!options->secret.empty() && read_secret_) {
    secret = kept(options->secret);
    if (!secret) return std::nullopt;
  }
  auto own = own_of(query, *options, secret);
  // Seldom is there anything to add or to leave out.
  const bool as_it_is = options->send_credentials || query.credentials.empty();
  if (as_it_is && own.empty()) return next_.known(query);
  return next_.known(with(query, *options, std::move(own)));
}

}  // namespace tidemark::registry
