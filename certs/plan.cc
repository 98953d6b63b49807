#include "certs/plan.h"

#include <algorithm>
#include <set>
#include <utility>

namespace tidemark::certs {
namespace {

// Two CAs in a rotation, one more for each healing of a lost key; beyond this the oldest go.
constexpr std::size_t kMaxAuthorities = 8;

bool contains(const std::vector<Certificate>& certificates, const std::string& fingerprint) {
  return std::ranges::any_of(
      certificates, [&](const Certificate& other) { return other.fingerprint == fingerprint; });
}

std::string joined(const std::vector<Certificate>& certificates) {
  std::string pem;
  for (const Certificate& certificate : certificates) pem += certificate.pem;
  return pem;
}

// CAs of a bundle that can still verify something, each once, newest first.
std::vector<Certificate> authorities_of(std::string_view bundle, WallTime now) {
  std::vector<Certificate> result;
  for (Certificate& certificate : parse_certificates(bundle)) {
    if (certificate.is_ca && now < certificate.validity.not_after &&
        !contains(result, certificate.fingerprint)) {
      result.push_back(std::move(certificate));
    }
  }
  std::ranges::stable_sort(result, std::ranges::greater{},
                           [](const Certificate& ca) { return ca.validity.not_before; });
  if (result.size() > kMaxAuthorities) result.resize(kMaxAuthorities);
  return result;
}

const Certificate* signing_authority(const std::vector<Certificate>& authorities,
                                     const std::string& key, WallTime now) {
  const auto found = std::ranges::find_if(authorities, [&](const Certificate& ca) {
    return ca.validity.contains(now) && key_fits(ca.pem, key);
  });
  return found == authorities.end() ? nullptr : &*found;
}

// When the last certificate of any CA older than `signing` has expired: such a certificate was
// issued before `signing` was born, for signing goes over to it with its key.
WallTime predecessors_end(const Certificate& signing, const Policy& policy) {
  return signing.validity.not_before + policy.backdate + policy.serving_validity + policy.ca_grace;
}

bool serves(const SecretContent& secret, const std::vector<Certificate>& authorities,
            const Policy& policy, WallTime now) {
  return key_fits(secret.certificate, secret.key) &&
         chains_to(secret.certificate, joined(authorities), now) &&
         std::ranges::all_of(policy.dns_names, [&](const std::string& name) {
           return covers_host(secret.certificate, name);
         });
}

// The Secret as the rules see it.
struct View {
  View(const SecretContent& content, const Policy& policy, WallTime now)
      : secret(content),
        authorities(authorities_of(content.ca_bundle, now)),
        signing(signing_authority(authorities, content.ca_key, now)),
        usable(serves(content, authorities, policy, now)) {}
  View(const View&) = delete;  // `signing` points into `authorities`
  View& operator=(const View&) = delete;

  const SecretContent& secret;
  const std::vector<Certificate> authorities;
  const Certificate* const signing;  // nullptr: none can sign
  const bool usable;                 // the serving certificate
};

// The last third of its life, as cert-manager does it: 30 days of 90 to notice what goes wrong.
bool renewal_due(const Certificate& leaf, WallTime now) {
  const auto life = leaf.validity.not_after - leaf.validity.not_before;
  return now >= leaf.validity.not_after - life / 3;
}

std::optional<SecretChange> plan_change(const Observed& observed, const View& view,
                                        const Policy& policy, WallTime now, bool& pending) {
  const auto& [secret, authorities, signing, usable] = view;
  SecretChange change;
  if (signing == nullptr) {
    change.new_authority = true;
    change.why = authorities.empty() ? "no CA" : "no key for the CA";
  } else if (signing->validity.not_after - now < 2 * policy.serving_validity) {
    change.new_authority = true;
    change.why = "the CA is near its end";
  }
  if (!usable) {
    change.reissue = true;
    change.why += change.why.empty() ? "" : ", ";
    change.why += "no usable serving certificate";
  } else if (!change.new_authority) {
    const std::vector<Certificate> chain = parse_certificates(secret.certificate);
    const bool due =
        renewal_due(chain.front(), now) || !signed_by(secret.certificate, signing->pem);
    const bool published =
        observed.published && std::ranges::all_of(*observed.published, [&](const auto& bundle) {
          return contains(parse_certificates(bundle), signing->fingerprint);
        });
    const WallTime trusted_from = signing->validity.not_before + policy.backdate + policy.ca_grace;
    if (due && published && now >= trusted_from) {
      change.reissue = true;
      change.why = "the serving certificate is due";
    }
    pending = pending || (due && !change.reissue);
  }
  if (signing != nullptr && !change.new_authority && now >= predecessors_end(*signing, policy)) {
    for (const Certificate& ca : authorities) {
      if (&ca != signing && !(usable && signed_by(secret.certificate, ca.pem))) {
        change.drop.push_back(ca.fingerprint);
      }
    }
    if (!change.drop.empty() && change.why.empty()) change.why = "an old CA is not needed any more";
  }
  if (!change.new_authority && !change.reissue && change.drop.empty()) return std::nullopt;
  return change;
}

// What one webhook must trust: the Secret's CAs, and what was there before as long as a replica may
// still serve a certificate of it (a Secret that was deleted takes its old CA with it).
// Also what has expired by this clock, which may be wrong; and as long as the Secret's certificate
// is not known to all: a Secret that was restored holds a CA that is older than what replicas
// serve.
std::string bundle_for(const std::string& existing, const std::vector<Certificate>& authorities,
                       const Certificate& signing, std::chrono::seconds covered_for,
                       const Policy& policy, WallTime now) {
  std::vector<Certificate> wanted = authorities;
  if (now < predecessors_end(signing, policy) || covered_for < policy.ca_grace) {
    for (Certificate& ca : authorities_of(existing, WallTime::min())) {
      if (wanted.size() < 2 * kMaxAuthorities && !contains(wanted, ca.fingerprint)) {
        wanted.push_back(std::move(ca));
      }
    }
  }
  std::set<std::string> before;
  std::set<std::string> after;
  for (const Certificate& ca : parse_certificates(existing)) before.insert(ca.fingerprint);
  for (const Certificate& ca : wanted) after.insert(ca.fingerprint);
  return before == after ? existing : joined(wanted);
}

}  // namespace

Status Policy::check() const {
  if (dns_names.empty()) return fail(ErrorKind::kInvalid, "certificate: no DNS name");
  // A CA must outlive the certificates that it signs after half of its life, and a rotation must
  // fit into the last third of a serving certificate's life.
  if (serving_validity.count() <= 0 || ca_validity < 4 * serving_validity) {
    return fail(ErrorKind::kInvalid, "certificate: the CA must live four times as long");
  }
  if (ca_grace > serving_validity / 6) {
    return fail(ErrorKind::kInvalid, "certificate: the CA's grace is too long");
  }
  return {};
}

Policy policy_for(std::chrono::seconds serving_validity) {
  Policy policy;
  policy.serving_validity = serving_validity;
  policy.ca_validity = 40 * serving_validity;
  policy.backdate = std::min(policy.backdate, serving_validity / 6);
  policy.ca_grace = std::min(policy.ca_grace, serving_validity / 6);
  return policy;
}

Plan plan(const Observed& observed, const Policy& policy, WallTime now) {
  Plan result;
  const SecretContent secret = observed.secret.value_or(SecretContent{});
  const View view(secret, policy, now);
  if (observed.published && view.signing != nullptr) {
    std::vector<std::string> bundles;
    for (const std::string& existing : *observed.published) {
      bundles.push_back(
          bundle_for(existing, view.authorities, *view.signing, observed.covered_for, policy, now));
    }
    if (bundles != *observed.published) result.publish = std::move(bundles);
  }
  const auto covered = [&](const std::string& certificate) {
    return observed.published &&
           std::ranges::all_of(*observed.published, [&](const std::string& bundle) {
             return chains_to(certificate, bundle, now);
           });
  };
  const std::vector<Certificate> chain = parse_certificates(observed.loaded);
  const bool valid = !chain.empty() && chain.front().validity.contains(now);
  if (view.usable) {
    result.covered = covered(secret.certificate);
    if (observed.loaded != secret.certificate) {
      // What is served now has no value to the API server, or never had one.
      const bool worthless = !valid || (result.covered && !covered(observed.loaded));
      result.load = worthless || (result.covered && observed.covered_for >= policy.propagation);
      result.pending = !result.load;
    }
  }
  result.change = plan_change(observed, view, policy, now, result.pending);
  return result;
}

Result<SecretContent> apply(const SecretChange& change, const SecretContent& before,
                            const Policy& policy, WallTime now) {
  SecretContent after = before;
  std::vector<Certificate> authorities = authorities_of(before.ca_bundle, now);
  std::erase_if(authorities, [&](const Certificate& ca) {
    return std::ranges::find(change.drop, ca.fingerprint) != change.drop.end();
  });
  if (change.new_authority) {
    const Validity validity{.not_before = now - policy.backdate,
                            .not_after = now + policy.ca_validity};
    // The time in the name tells two generations apart for whoever reads the bundle.
    auto ca = issue_ca("tidemark-ca-" + to_rfc3339(now), validity);
    if (!ca) return fail(std::move(ca.error()));
    for (Certificate& parsed : parse_certificates(ca->certificate_pem)) {
      authorities.insert(authorities.begin(), std::move(parsed));
    }
    after.ca_key = std::move(ca->key_pem);
  }
  after.ca_bundle = joined(authorities);
  if (change.reissue) {
    const Certificate* signing = signing_authority(authorities, after.ca_key, now);
    if (signing == nullptr) return fail(ErrorKind::kInternal, "no CA to sign with");
    const Validity validity{.not_before = now - policy.backdate,
                            .not_after = std::min<WallTime>(now + policy.serving_validity,
                                                            signing->validity.not_after)};
    auto pair = issue_serving({.certificate_pem = signing->pem, .key_pem = after.ca_key},
                              policy.dns_names, validity);
    if (!pair) return fail(std::move(pair.error()));
    after.certificate = std::move(pair->certificate_pem);
    after.key = std::move(pair->key_pem);
  }
  return after;
}

}  // namespace tidemark::certs
