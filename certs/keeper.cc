#include "certs/keeper.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "base/base64.h"
#include "base/shutdown.h"

namespace tidemark::certs {
namespace {

using nlohmann::json;

constexpr std::string_view kConfigurationApi = "admissionregistration.k8s.io/v1";
// Two reads and two writes on a healthy API server take 50 ms; a slow one must not hang a pass.
constexpr std::chrono::seconds kPassTimeout{20};
// Bootstrap needs three looks (write, publish, settled); a few more for lost races.
constexpr int kMaxSteps = 8;

struct Key {
  const char* name;
  std::string SecretContent::*value;
};
constexpr std::array kKeys{
    Key{"ca.crt", &SecretContent::ca_bundle}, Key{"ca.key", &SecretContent::ca_key},
    Key{"tls.crt", &SecretContent::certificate}, Key{"tls.key", &SecretContent::key}};

Result<json> parse_object(const std::string& text, const std::string& path) {
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return fail(ErrorKind::kInvalid, path + ": no JSON object");
  return object;
}

// What is no base64 is as good as missing: it will be replaced.
std::string decoded(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return "";
  return base64_decode(found->get_ref<const std::string&>()).value_or("");
}

}  // namespace

struct CertificateKeeper::SecretObject {
  json object;
  SecretContent content;
};

struct CertificateKeeper::Configuration {
  struct Webhook {
    std::string name;
    json ca_bundle;  // as it is in the object: base64, or null where missing
  };
  std::vector<Webhook> webhooks;
  std::vector<std::string> bundles;  // decoded
};

std::vector<std::string> service_dns_names(std::string_view service, std::string_view ns) {
  const std::string name = std::string(service) + "." + std::string(ns);
  return {name + ".svc", name, name + ".svc.cluster.local"};
}

CertificateKeeper::CertificateKeeper(kube::Api& api, const Clock& clock, KeeperOptions options,
                                     net::ServerCertificate& certificate, Metrics& metrics,
                                     Logger log)
    : api_(api),
      clock_(clock),
      options_(std::move(options)),
      certificate_(certificate),
      expiry_(metrics.gauge("tidemark_certificate_not_after_seconds",
                            "Unix time at which the certificate in use expires.")),
      changes_(
          metrics.counter("tidemark_certificate_changes_total",
                          "What was done for the serving certificate: secret, publish, load.")),
      log_(std::move(log)),
      secret_path_(kube::resource_path("v1", "secrets", options_.secret_ns, options_.secret_name)),
      configuration_path_(kube::resource_path(kConfigurationApi, "mutatingwebhookconfigurations",
                                              {}, options_.webhook_configuration)) {}

WallTime CertificateKeeper::now() const { return api_.server_time().value_or(clock_.wall_now()); }

bool CertificateKeeper::ready() const {
  const auto not_after = certificate_.not_after();
  return not_after && now() < *not_after;
}

Result<std::optional<CertificateKeeper::SecretObject>> CertificateKeeper::read_secret(
    Deadline deadline, const std::stop_token& stop) {
  const auto text = api_.get(secret_path_, deadline, stop);
  if (!text && text.error().kind == ErrorKind::kNotFound) return std::nullopt;
  if (!text) return fail(within("reading the certificate's secret", text.error()));
  auto object = parse_object(*text, secret_path_);
  if (!object) return fail(std::move(object.error()));
  SecretObject secret{.object = *std::move(object), .content = {}};
  const json data = secret.object.value("data", json::object());
  for (const Key& key : kKeys) {
    if (data.is_object()) secret.content.*key.value = decoded(data, key.name);
  }
  return secret;
}

Result<CertificateKeeper::Configuration> CertificateKeeper::read_configuration(
    Deadline deadline, const std::stop_token& stop) {
  const auto text = api_.get(configuration_path_, deadline, stop);
  if (!text) return fail(within("reading the webhook configuration", text.error()));
  const auto object = parse_object(*text, configuration_path_);
  if (!object) return fail(object.error());
  try {
    Configuration configuration;
    const json webhooks = object->value("webhooks", json::array());
    for (const json& webhook : webhooks) {
      const json client = webhook.value("clientConfig", json::object());
      configuration.webhooks.push_back(
          {.name = webhook.value("name", ""), .ca_bundle = client.value("caBundle", json())});
      configuration.bundles.push_back(decoded(client, "caBundle"));
    }
    return configuration;
  } catch (const json::exception&) {  // a field of another type
    return fail(ErrorKind::kInvalid, configuration_path_ + ": malformed");
  }
}

Status CertificateKeeper::publish(const Configuration& configuration,
                                  const std::vector<std::string>& bundles, Deadline deadline,
                                  const std::stop_token& stop) {
  json patch = json::array();
  for (std::size_t i = 0; i < bundles.size(); ++i) {
    if (bundles[i] == configuration.bundles[i]) continue;
    const std::string webhook = "/webhooks/" + std::to_string(i);
    const std::string bundle = webhook + "/clientConfig/caBundle";
    patch.push_back(
        {{"op", "test"}, {"path", webhook + "/name"}, {"value", configuration.webhooks[i].name}});
    patch.push_back(
        {{"op", "test"}, {"path", bundle}, {"value", configuration.webhooks[i].ca_bundle}});
    patch.push_back({{"op", "add"}, {"path", bundle}, {"value", base64_encode(bundles[i])}});
  }
  const auto written =
      api_.patch(configuration_path_, patch.dump(), kube::PatchOptions{}, deadline, stop);
  if (!written) return fail(within("publishing the CA bundle", written.error()));
  changes_.with({{"change", "publish"}}).add();
  log_.info("CA bundle published", {{"configuration", options_.webhook_configuration}});
  return {};
}

Status CertificateKeeper::write_secret(const std::optional<SecretObject>& old,
                                       const SecretContent& content, Deadline deadline,
                                       const std::stop_token& stop) {
  json object =
      old ? old->object
          : json{{"apiVersion", "v1"},
                 {"kind", "Secret"},
                 {"type", "Opaque"},
                 {"metadata", {{"name", options_.secret_name}, {"namespace", options_.secret_ns}}}};
  json& data = object["data"];
  if (!data.is_object()) data = json::object();
  for (const Key& key : kKeys) data[key.name] = base64_encode(content.*key.value);
  const auto written = old ? api_.update(secret_path_, object.dump(), deadline, stop)
                           : api_.create(kube::resource_path("v1", "secrets", options_.secret_ns),
                                         object.dump(), deadline, stop);
  if (!written) return fail(within("writing the certificate's secret", written.error()));
  changes_.with({{"change", "secret"}}).add();
  return {};
}

Status CertificateKeeper::load(const SecretContent& content) {
  const Status loaded =
      certificate_.load({.certificate_pem = content.certificate, .key_pem = content.key});
  if (!loaded) return fail(within("loading the serving certificate", loaded.error()));
  loaded_ = content.certificate;
  changes_.with({{"change", "load"}}).add();
  if (const auto not_after = certificate_.not_after()) {
    expiry_.with({{"certificate", "serving"}})
        .set(static_cast<double>(std::chrono::system_clock::to_time_t(*not_after)));
    log_.info("serving certificate loaded", {{"not_after", to_rfc3339(*not_after)}});
  }
  return {};
}

std::chrono::seconds CertificateKeeper::covered_for(const std::string& certificate, bool covered) {
  const SteadyTime now = clock_.steady_now();
  if (!covered) {
    covered_.clear();
  } else if (covered_ != certificate) {
    covered_ = certificate;
    covered_since_ = now;
  }
  return covered ? std::chrono::floor<std::chrono::seconds>(now - covered_since_)
                 : std::chrono::seconds{0};
}

bool CertificateKeeper::step(Pass& pass, Deadline deadline, const std::stop_token& stop) {
  pass = {};
  const auto secret = read_secret(deadline, stop);
  if (!secret) {
    pass.error = secret.error();
    return false;
  }
  const auto configuration = read_configuration(deadline, stop);
  if (!configuration) pass.error = configuration.error();

  Observed observed;
  if (*secret) observed.secret = (*secret)->content;
  if (configuration) observed.published = configuration->bundles;
  observed.loaded = loaded_;
  const WallTime current = now();
  Plan next = plan(observed, options_.policy, current);
  if (observed.secret) {
    observed.covered_for = covered_for(observed.secret->certificate, next.covered);
    next = plan(observed, options_.policy, current);
  }
  pass.pending = next.pending;

  // A lost race is no error: whoever won has done it, or the next look tells what is left.
  bool changed = false;
  const auto done = [&](const Status& status) {
    if (status || status.error().kind == ErrorKind::kConflict) {
      changed = true;
    } else {
      pass.error = status.error();
    }
  };
  if (next.publish) done(publish(*configuration, *next.publish, deadline, stop));
  if (next.load) done(load(observed.secret.value_or(SecretContent{})));
  if (next.change) {
    const auto content =
        apply(*next.change, observed.secret.value_or(SecretContent{}), options_.policy, current);
    if (!content) {
      pass.error = content.error();
      return false;
    }
    log_.info("renewing the certificate's secret", {{"why", next.change->why}});
    done(write_secret(*secret, *content, deadline, stop));
  }
  return changed;
}

CertificateKeeper::Pass CertificateKeeper::pass(const std::stop_token& stop) {
  Pass result;
  const auto deadline = Deadline::after(kPassTimeout);
  for (int i = 0; i < kMaxSteps; ++i) {
    if (!step(result, deadline, stop)) return result;
  }
  result.pending = true;  // others keep changing it: again a little later
  return result;
}

void CertificateKeeper::report(const Pass& pass) {
  const std::string problem = pass.error ? pass.error->message : "";
  if (problem == reported_) return;
  reported_ = problem;
  if (pass.error && pass.error->kind != ErrorKind::kCanceled) {
    log_.warn("certificate: waiting and trying again", {{"cause", problem}});
  }
}

Status CertificateKeeper::run(const std::stop_token& stop) {
  if (Status status = options_.policy.check(); !status) return status;
  RetrySchedule retry(options_.retry, options_.seed);
  std::mt19937_64 random(options_.seed);
  std::uniform_int_distribution<std::int64_t> jitter(0, options_.interval.count() / 5);
  while (!stop.stop_requested()) {
    const Pass result = pass(stop);
    report(result);
    std::chrono::milliseconds wait{0};
    if (result.error) {
      wait = retry.next(result.error->retry_after.value_or(std::chrono::milliseconds{0}));
    } else {
      retry.reset();
      wait = options_.interval + std::chrono::milliseconds(jitter(random));
      if (result.pending) wait = std::min(wait, options_.pending_interval);
    }
    sleep_for(wait, stop);
  }
  return {};
}

}  // namespace tidemark::certs
