// Records: the JSON that Tidemark keeps on a workload's own metadata (design section 2).
//
// Purpose: the only reader and writer of tidemark.dev/history, held, unstamped, baseline and
// written-images.
// Readers are lenient: what does not parse counts as empty (the user may have edited it), entries
// with missing parts are dropped. Writers are deterministic: same records, same bytes.
// Thread-safety: values. Slots are named by Slot::id().
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "image/digest.h"
#include "workload/stamp.h"

namespace tidemark::workload {

// The reasons that a history entry can give.
inline constexpr std::string_view kWhyCreated = "created";
inline constexpr std::string_view kWhyEdited = "edited";
inline constexpr std::string_view kWhyMoved = "moved";    // its tag
inline constexpr std::string_view kWhyPolicy = "policy";  // to another tag, which its policy chose
inline constexpr std::string_view kWhyRolledBack = "rolled-back";
inline constexpr std::string_view kWhyAdopted = "adopted";

struct HistoryEntry {
  std::string time;  // RFC 3339, UTC
  std::string slot;
  std::string from;  // stamp value, "" where there was none
  std::string to;    // stamp value
  std::string why;
  std::string by;  // user name of the request, or "tidemark-sweeper"
  friend bool operator==(const HistoryEntry&, const HistoryEntry&) = default;
};

// A roll of the sweeper's.
bool is_roll(const HistoryEntry& entry);

inline constexpr std::size_t kMaxHistoryEntries = 10;

// Newest first.
std::vector<HistoryEntry> parse_history(std::string_view json);
// `newer` (newest first) before `older`, cut to kMaxHistoryEntries.
std::vector<HistoryEntry> push_history(std::vector<HistoryEntry> newer,
                                       const std::vector<HistoryEntry>& older);
std::string dump_history(const std::vector<HistoryEntry>& entries);  // "" where empty

// Writes a history from what its entries are made of, the newest first. What comes after
// kMaxHistoryEntries is left out.
class HistoryWriter {
 public:
  // The parts of a HistoryEntry.
  struct Entry {
    std::string_view time;
    std::string_view slot;
    std::string_view from;
    std::string_view to;
    std::string_view why;
    std::string_view by;
  };
  // `entries`: about how many will come.
  explicit HistoryWriter(std::size_t entries);
  void add(const Entry& entry);
  void add(const HistoryEntry& entry);
  std::size_t size() const { return count_; }
  std::string take() &&;  // "" where nothing was added

 private:
  std::string text_;
  std::size_t count_ = 0;
};

// True where some entry of `slot` names this digest, in from or to.
bool history_lists(const std::vector<HistoryEntry>& entries, std::string_view slot,
                   const image::Digest& digest);

// The stamps that the images themselves stand for, by stamp key: pins that the history knows. Of a
// template whose schema keeps no annotations, these are the only ones.
std::map<std::string, Stamp> pinned_stamps(const PodTemplate& pod_template,
                                           const std::vector<HistoryEntry>& entries);

// The reasons of a Hold that Tidemark itself made.
inline constexpr std::string_view kHeldByFailure = "its rollout failed";

struct Hold {
  image::Digest digest;
  std::string reason;
  std::string since;  // RFC 3339
  friend bool operator==(const Hold&, const Hold&) = default;
};
using Held = std::map<std::string, std::vector<Hold>>;  // by slot
Held parse_held(std::string_view json);
std::string dump_held(const Held& held);  // "" where nothing is held
bool is_held(const Held& held, std::string_view slot, const image::Digest& digest);

using Unstamped = std::map<std::string, std::string>;  // slot -> reason
Unstamped parse_unstamped(std::string_view json);
std::string dump_unstamped(const Unstamped& unstamped);  // "" where empty

using Baseline = std::map<std::string, Stamp>;  // slot -> stamp
Baseline parse_baseline(std::string_view json);
std::string dump_baseline(const Baseline& baseline);  // "" where empty

// Of slots that follow a policy: the image as their owner wrote it, which is what Git and the
// owner's files still say, while the template has the tag that the policy chose.
using WrittenImages = std::map<std::string, std::string>;  // slot -> image
WrittenImages parse_written_images(std::string_view json);
std::string dump_written_images(const WrittenImages& images);  // "" where empty
// True where `reference` is what the owner of the slot wrote, or where a policy has led from it:
// not a new wish of the owner's, but what the policy has left behind.
bool is_left_behind(const WrittenImages& images, const std::vector<HistoryEntry>& entries,
                    std::string_view slot, const image::Reference& reference);

}  // namespace tidemark::workload
