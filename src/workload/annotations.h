// The annotation keys of design section 2: the public format, versioned, never broken.
//
// Thread-safety: constants and pure functions. Specification for users: deploy/README.md.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace tidemark::workload {

// Searched by a std::string_view without a copy of it.
using StringMap = std::map<std::string, std::string, std::less<>>;

// On the pod template.
inline constexpr std::string_view kStampPrefix = "digest.tidemark.dev/";
inline constexpr std::string_view kVolumeStampPrefix = "volume-digest.tidemark.dev/";

// On the workload's own metadata, written by Tidemark alone.
inline constexpr std::string_view kHistoryKey = "tidemark.dev/history";
inline constexpr std::string_view kHeldKey = "tidemark.dev/held";
inline constexpr std::string_view kUnstampedKey = "tidemark.dev/unstamped";
inline constexpr std::string_view kBaselineKey = "tidemark.dev/baseline";
inline constexpr std::string_view kWrittenImagesKey = "tidemark.dev/written-images";
inline constexpr std::array kWrittenKeys = {kHistoryKey, kHeldKey, kUnstampedKey, kBaselineKey,
                                            kWrittenImagesKey};
// Kubernetes' own key; ours only while its value begins with kChangeCausePrefix.
inline constexpr std::string_view kChangeCauseKey = "kubernetes.io/change-cause";
inline constexpr std::string_view kChangeCausePrefix = "tidemark: ";

// kubectl's own, on the template: `rollout restart`. A roll writes it too where that is asked for.
inline constexpr std::string_view kRestartedAtKey = "kubectl.kubernetes.io/restartedAt";

// Set by users, on a workload or its namespace, as annotation or label.
inline constexpr std::string_view kUserPrefix = "tidemark.dev/";
inline constexpr std::string_view kSweepKey = "tidemark.dev/sweep";
inline constexpr std::string_view kModeKey = "tidemark.dev/mode";
inline constexpr std::string_view kStampKey = "tidemark.dev/stamp";
inline constexpr std::string_view kHoldKey = "tidemark.dev/hold";
inline constexpr std::string_view kHoldReasonKey = "tidemark.dev/hold-reason";
inline constexpr std::string_view kHoldUntilKey = "tidemark.dev/hold-until";
inline constexpr std::string_view kWindowKey = "tidemark.dev/window";
inline constexpr std::string_view kCooldownKey = "tidemark.dev/cooldown";
inline constexpr std::string_view kOnFailureKey = "tidemark.dev/on-failure";
inline constexpr std::string_view kOnCachedPolicyKey = "tidemark.dev/on-cached-policy";
inline constexpr std::string_view kRestartedAtOptionKey = "tidemark.dev/restarted-at";
inline constexpr std::string_view kIgnoreContainersKey = "tidemark.dev/ignore-containers";
// On a workload alone: which tag the container, or the image volume, of that name follows.
inline constexpr std::string_view kPolicyPrefix = "policy.tidemark.dev/";
inline constexpr std::string_view kVolumePolicyPrefix = "volume-policy.tidemark.dev/";

// Labels by which workloads opt in to figwasp and to kube-autorollout, where they are "true".
inline constexpr std::string_view kFigwaspLabel = "figwasp/target";
inline constexpr std::string_view kAutorolloutLabel = "kube-autorollout/enabled";

// The fieldManager of Tidemark's own writers of stamps: admission leaves their writes as they are,
// whoever's account they run under. Who may patch a workload could write its stamps in other ways.
inline constexpr std::string_view kStampWriter = "tidemark-sweeper";

// Kubernetes' bound on the keys and values of one object's annotations together
// (k8s.io/apimachinery pkg/api/validation TotalAnnotationSizeLimitB).
inline constexpr std::size_t kMaxAnnotationsBytes = std::size_t{256} * 1024;

bool is_stamp_key(std::string_view key);    // either stamp prefix
bool is_written_key(std::string_view key);  // one of kWrittenKeys
bool is_policy_key(std::string_view key);   // either policy prefix
std::size_t annotations_bytes(const StringMap& annotations);

// "" where the key is missing, which no record of ours is while it says something.
std::string_view value_of(const StringMap& annotations, std::string_view key);
void set_or_erase(StringMap& annotations, std::string_view key, std::string value);

}  // namespace tidemark::workload
