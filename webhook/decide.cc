#include "webhook/decide.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <utility>

#include "base/json_text.h"
#include "base/text.h"
#include "workload/annotations.h"

namespace tidemark::webhook {
namespace {

using workload::Stamp;
using workload::StringMap;

constexpr std::string_view kOwnKeyPrefix = "tidemark.dev/";
constexpr std::string_view kHeldByUndo = "rolled back by its owner";
constexpr std::string_view kNotKeptReason =
    "the kind's definition drops template annotations (tidemark.dev/mode: pin does without)";
// A reason in an annotation: a cause in a line, not a page of a registry's HTML.
constexpr std::size_t kMaxReasonBytes = 256;
// A warning of a slot with a short name.
constexpr std::size_t kUsualWarningBytes = 160;

// What becomes of one slot.
struct SlotResult {
  std::string image = {};
  std::optional<Stamp> stamp = {};  // for every step but kCarry
  std::string_view why = {};        // for the history
  std::string unstamped = {};       // why there is no stamp, where one is wanted
  bool failed = false;              // a lookup failed
  bool rolled_back = false;         // rule 5
};

// `container "app"`, `image volume "data"`: how warnings name a slot.
void append_description(std::string& out, const workload::Slot& slot) {
  constexpr std::array<std::string_view, 3> kNames = {"container", "init container",
                                                      "image volume"};
  out.append(kNames[static_cast<std::size_t>(slot.type)]);
  out.append(" \"").append(slot.name).append("\"");
}

std::string describe(const workload::Slot& slot) {
  std::string out;
  append_description(out, slot);
  return out;
}

std::string warning_for(const SlotPlan& plan, std::initializer_list<std::string_view> text) {
  std::string warning;
  warning.reserve(kUsualWarningBytes);
  warning.append("tidemark: ");
  append_description(warning, *plan.slot);
  warning.append(": ");
  for (const std::string_view part : text) warning.append(part);
  return warning;
}

std::string short_form(const image::Digest& digest) {
  return std::string(digest.short_hex()) + "..";
}

// The whole decision, step by step; decide() at the end of the file names the steps in order.
class Decider {
 public:
  Decider(const Review& review, const Assessment& assessment, const Answers& answers,
          const Policy& policy, WallTime now)
      : review_(review),
        assessment_(assessment),
        answers_(answers),
        policy_(policy),
        now_(to_rfc3339(now)),
        old_annotations_(review.old_object ? review.old_object->annotations : kNone),
        old_template_annotations_(review.old_object ? review.old_object->pod_template.annotations
                                                    : kNone),
        held_(assessment.held) {}

  void decide_slots() {
    results_.reserve(assessment_.slots.size());
    for (const SlotPlan& plan : assessment_.slots) results_.push_back(decide_slot(plan));
    if (!assessment_.edited) return;
    std::erase_if(held_, [&](const auto& entry) { return !has_slot(entry.first); });
  }

  // Stamps and pins, by the template's annotations and images.
  void write_template() {
    template_annotations_ = submitted_template_annotations();
    set_stamps(template_annotations_);
    if (!is_pod()) fit_stamps(template_annotations_);
  }

  void write_history() {
    workload::HistoryWriter writer(results_.size() + assessment_.history.size());
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const SlotPlan& plan = assessment_.slots[i];
      const auto& stamp = results_[i].stamp;
      if (!stamp || stamp == plan.old_stamp) continue;
      const std::string id = plan.slot->id();
      const auto from = plan.old_stamp ? std::string_view(plan.old_stamp->str()) : "";
      writer.add(workload::HistoryWriter::Entry{.time = now_,
                                                .slot = id,
                                                .from = from,
                                                .to = stamp->str(),
                                                .why = results_[i].why,
                                                .by = review_.user});
    }
    stamps_changed_ = writer.size() > 0;
    if (!stamps_changed_) return;
    for (const workload::HistoryEntry& entry : assessment_.history) writer.add(entry);
    history_ = std::move(writer).take();
  }

  // The workload's own annotations: history, held, unstamped, change-cause.
  void write_records() {
    StringMap& wanted = own_annotations();
    if (!is_pod()) wanted = review_.object->annotations;
    restore_keys(wanted);
    set_history(wanted);
    set_held(wanted);
    set_unstamped(wanted);
    set_written_images(wanted);
    set_change_cause(wanted);
    fit_records(wanted);
    if (is_pod()) fit_stamps(wanted);
  }

  void write_warnings() {
    decision_.warnings.reserve(decision_.warnings.size() + results_.size());
    if (assessment_.edited) {
      for (const std::string& problem : assessment_.problems) {
        // runbook: warning: `tidemark.dev/KEY: ...` | an annotation of Tidemark's on the workload
        // or its namespace cannot be read, and counts as not set | write it as `deploy/README.md`
        // has it, "Settings of a workload or namespace"
        decision_.warnings.push_back("tidemark: " + problem);
      }
    }
    if (assessment_.all_stamps_gone && !rolls_back()) {
      // runbook: warning: `the template came without its stamps` | the client wrote a template
      // without any stamp, such as an undo to a revision from before Tidemark; where nothing else
      // changed, they stay | for older bits name the older image by digest or tag; a client that
      // always strips annotations should leave those of `digest.tidemark.dev/`
      decision_.warnings.push_back(
          std::string("tidemark: the template came without its stamps") +
          (assessment_.edited ? "" : ", they stay") +
          "; an undo to a revision from before Tidemark cannot bring older images back");
    }
    warn_of_kept_tags();
    warn_of_replaced_stamps();
    warn_of_pull_policies();
    warn_of_latest();
  }

  void write_patch() {
    const workload::Object& object = *review_.object;
    const workload::PodTemplate& pod_template = object.pod_template;
    if (!is_pod()) {
      decision_.patch.change_map(object.kind->template_pointer + "/metadata/annotations",
                                 pod_template.has_metadata, pod_template.has_annotations,
                                 pod_template.annotations, template_annotations_);
    }
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const workload::Slot& slot = *assessment_.slots[i].slot;
      if (results_[i].image == slot.image) continue;
      decision_.patch.replace(slot.image_pointer(*object.kind), json_quote(results_[i].image));
    }
    decision_.patch.change_map("/metadata/annotations", object.has_metadata, object.has_annotations,
                               object.annotations, own_annotations());
  }

  void conclude() {
    const auto any = [&](bool SlotResult::*what) {
      return std::ranges::any_of(results_, [&](const SlotResult& result) { return result.*what; });
    };
    const bool unstamped = std::ranges::any_of(
        results_, [](const SlotResult& result) { return !result.unstamped.empty(); });
    if (policy_.require && unstamped) {
      decision_.outcome = Outcome::kDenied;
      decision_.denial = denial();
    } else if (any(&SlotResult::failed) || unstamped) {
      decision_.outcome = Outcome::kUnstamped;
    } else if (any(&SlotResult::rolled_back)) {
      decision_.outcome = Outcome::kRolledBack;
    } else if (decision_.patch.empty()) {
      decision_.outcome = Outcome::kUntouched;
    } else {
      const bool renewed = assessment_.edited || stamps_changed_;
      decision_.outcome = renewed ? Outcome::kStamped : Outcome::kCarried;
    }
  }

  // One note of a kind, however many slots it is about. A stamp that is kept because a registry
  // does not answer is none: the sweeper makes up for it.
  void write_notes() {
    if (decision_.denial) {
      // Of a CREATE there is no object to tell of; its author has the answer.
      // runbook: event: `Denied` | `require: true`, and an image of the update could not be
      // resolved | the cause stands in the Event; the registry, the pull secret or the tag;
      // `require: false` lets it pass unstamped
      if (review_.old_object) add_note(true, "Denied", "Deny", *decision_.denial);
      return;
    }
    std::string unstamped;
    std::string rolled_back;
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const SlotPlan& plan = assessment_.slots[i];
      if (!results_[i].unstamped.empty()) {
        append_part(unstamped, "; ", describe(*plan.slot) + ": " + not_stamped(plan, results_[i]));
      }
      if (results_[i].rolled_back) {
        append_part(rolled_back, "; ", describe(*plan.slot) + ": " + rolled_back_to(plan));
      }
    }
    // runbook: event: `NotStamped` | a slot was admitted without a stamp | as of the warning `not
    // stamped`; TidemarkAdmissionsUnstamped below where there are many
    if (!unstamped.empty()) add_note(true, "NotStamped", "Stamp", unstamped);
    // runbook: event: `RolledBack` (Normal, by the webhook) | somebody went back by `rollout undo`
    // | nothing; `kubectl tidemark history` tells who and when
    if (!rolled_back.empty()) add_note(false, "RolledBack", "RollBack", rolled_back);
  }

  Decision take() { return std::move(decision_); }

 private:
  // A Pod is its own template: one map of annotations holds the stamps and the records.
  bool is_pod() const { return review_.kind->template_pointer.empty(); }
  StringMap& own_annotations() { return is_pod() ? template_annotations_ : own_annotations_; }
  const StringMap& submitted_template_annotations() const {
    return review_.object->pod_template.annotations;
  }
  bool pin_mode() const { return assessment_.settings.mode == workload::StampMode::kPin; }
  bool pins(const SlotPlan& plan) const {
    return assessment_.settings.pins(workload::effective_pull_policy(*plan.slot));
  }
  bool rolls_back() const {
    return std::ranges::any_of(assessment_.slots,
                               [](const SlotPlan& plan) { return plan.rollback_to.has_value(); });
  }
  bool is_first_answer(std::string_view stamp_key) const {
    return std::ranges::any_of(assessment_.slots, [&](const SlotPlan& plan) {
      return plan.first_answer && plan.stamp_key == stamp_key;
    });
  }
  bool has_slot(std::string_view id) const {
    return std::ranges::any_of(assessment_.slots,
                               [&](const SlotPlan& plan) { return plan.slot->id() == id; });
  }

  void add_note(bool warning, const char* reason, const char* action, std::string text) {
    decision_.notes.push_back(
        {.warning = warning, .reason = reason, .action = action, .text = std::move(text)});
  }

  static std::string not_stamped(const SlotPlan& plan, const SlotResult& result) {
    const std::string name = plan.reference ? plan.reference->tagged() : plan.written;
    return name + " not stamped: " + result.unstamped;
  }

  // "rolled back to 3f1c.., 9b2e.. is held until the tag moves on"
  std::string rolled_back_to(const SlotPlan& plan) const {
    std::string told = "rolled back to " + short_form(plan.rollback_to->digest());
    const auto holds = held_.find(plan.slot->id());
    if (holds == held_.end()) return told;
    told += ",";
    for (const workload::Hold& hold : holds->second) told += " " + short_form(hold.digest);
    return told + (holds->second.size() == 1 ? " is" : " are") +
           (plan.by_policy ? " held until its policy chooses another"
                           : " held until the tag moves on");
  }

  SlotResult decide_slot(const SlotPlan& plan) {
    switch (plan.step) {
      case Step::kCarry:
        return carry(plan);
      case Step::kResolve:
        return decide_resolved(plan);
      case Step::kLeaveAlone:
        held_.erase(plan.slot->id());
        return {.image = plan.written};
      case Step::kUnreadable:
        return unstamped(plan, "not an image name: " + plan.problem);
      case Step::kNotKept:
        return unstamped(plan, std::string(kNotKeptReason));
    }
    return {.image = plan.slot->image};
  }

  // Rule 2. The image is put back only where pins of ours are in play.
  static SlotResult carry(const SlotPlan& plan) {
    const bool pins = plan.old_pinned || plan.written != plan.slot->image;
    return {.image = plan.same_reference && pins ? plan.old_image : plan.slot->image};
  }

  SlotResult decide_resolved(const SlotPlan& plan) {
    static const Result<image::Digest> kNotAsked = fail(ErrorKind::kInternal, "not asked");
    const Result<image::Digest>* found = answers_.find(*plan.reference);
    const Result<image::Digest>& answer = found == nullptr ? kNotAsked : *found;
    // What a policy must not choose is held whatever tag its slot has now, but for the very one
    // that its owner asks for.
    if (!plan.same_reference && !plan.by_policy) held_.erase(plan.slot->id());
    if (plan.rollback_to) return roll_back(plan, answer);
    if (plan.held && hold_stands(plan, answer)) return keep(plan, answer);
    if (!answer) return failed(plan, answer.error());
    if (plan.by_policy) {
      release(plan.slot->id(), *answer);
    } else if (plan.held) {
      held_.erase(plan.slot->id());
    }
    return stamped(plan, *answer,
                   review_.old_object ? workload::kWhyEdited : workload::kWhyCreated);
  }

  // Rule 4: until the tag moves on to a digest that is not held. A hold by hand has no such end.
  bool hold_stands(const SlotPlan& plan, const Result<image::Digest>& answer) const {
    return plan.held_by_hand || !answer || workload::is_held(held_, plan.slot->id(), *answer);
  }

  SlotResult keep(const SlotPlan& plan, const Result<image::Digest>& answer) {
    if (!plan.old_pinned && !pins(plan) && answer && *answer != plan.old_stamp->digest()) {
      // runbook: warning: `held at DIGEST but not pinned` | the slot is held (`hold`, or by an
      // undo) and its image is a tag, which means something newer by now: a pod that starts anew
      // pulls that | `tidemark.dev/mode: pin` on the workload for as long as the hold, or `kubectl
      // tidemark resume`
      decision_.warnings.push_back(
          warning_for(plan, {"held at ", short_form(plan.old_stamp->digest()),
                             " but not pinned: new pods may run ", short_form(*answer)}));
    }
    std::string image = plan.old_pinned ? plan.old_image : plan.written;
    if (pins(plan) && !plan.old_pinned) {
      image = workload::pinned_image(plan.written, plan.old_stamp->digest());
    }
    return {.image = std::move(image), .stamp = plan.old_stamp};
  }

  SlotResult stamped(const SlotPlan& plan, const image::Digest& digest, std::string_view why) {
    return {
        .image = pins(plan) ? workload::pinned_image(plan.written, digest) : plan.written,
        .stamp = Stamp::make(*plan.reference, digest),
        .why = why,
    };
  }

  // Rule 5.
  SlotResult roll_back(const SlotPlan& plan, const Result<image::Digest>& answer) {
    const std::string id = plan.slot->id();
    const image::Digest& target = plan.rollback_to->digest();
    release(id, target);
    const bool served_now = answer && *answer == target;
    // Back from the tag that a policy chose, which is what must not be chosen again.
    const bool from_other_tag = plan.by_policy && !plan.same_reference;
    // Served now anyway: nothing to pin or to hold, and its owner has just lifted the hold on it.
    if (served_now && !from_other_tag) {
      held_.erase(id);
      return stamped(plan, target, workload::kWhyRolledBack);
    }
    std::optional<image::Digest> left;
    if (answer && !from_other_tag) {
      left = *answer;
    } else if (plan.old_stamp) {
      left = plan.old_stamp->digest();
    }
    if (left && *left != target) hold(id, *left);
    const bool pin = pins(plan) || (policy_.pin_on_rollback && !served_now);
    SlotResult result{.image = pin ? workload::pinned_image(plan.written, target) : plan.written,
                      .stamp = plan.rollback_to,
                      .why = workload::kWhyRolledBack,
                      .rolled_back = true};
    // runbook: warning: `rolled back to DIGEST` | a `rollout undo`, or the stamps of an older
    // revision applied: the older digest is back, and what was left is held until the tag moves on
    // | nothing; `kubectl tidemark resume` ends the hold before
    decision_.warnings.push_back(warning_for(plan, {rolled_back_to(plan)}));
    if (pin && !pins(plan)) {
      // runbook: warning: `image pinned meanwhile` | the tag means another digest than the one
      // that came back, so the image names the digest until the tag moves on | where a GitOps tool
      // owns the image, let it ignore that field (`ignoreDifferences`); or `webhook.pinOnRollback:
      // false`
      decision_.warnings.push_back(
          warning_for(plan, {"image pinned meanwhile: GitOps tools need ignoreDifferences on ",
                             plan.slot->image_pointer(*review_.kind)}));
    }
    return result;
  }

  void release(const std::string& id, const image::Digest& digest) {
    const auto found = held_.find(id);
    if (found == held_.end()) return;
    std::erase_if(found->second, [&](const workload::Hold& hold) { return hold.digest == digest; });
    if (found->second.empty()) held_.erase(found);
  }

  void hold(const std::string& id, const image::Digest& digest) {
    if (workload::is_held(held_, id, digest)) return;
    held_[id].push_back({.digest = digest, .reason = std::string(kHeldByUndo), .since = now_});
  }

  // Rule 3: the old stamp stays where the reference did.
  SlotResult failed(const SlotPlan& plan, const Error& error) {
    if (plan.same_reference && plan.old_stamp) {
      // runbook: warning: `... keeps its stamp of DIGEST: CAUSE` | the registry did not answer in
      // time, refused, or has no such tag: the stamp that was there stays | the cause says which;
      // `kubectl tidemark explain` asks again. The sweeper makes up for it
      decision_.warnings.push_back(
          warning_for(plan, {plan.reference->tagged(), " keeps its stamp of ",
                             short_form(plan.old_stamp->digest()), ": ", error.message}));
      SlotResult result = stamped(plan, plan.old_stamp->digest(), workload::kWhyEdited);
      if (pins(plan) && plan.old_pinned) result.image = plan.old_image;
      result.failed = true;
      return result;
    }
    return unstamped(plan, error.message);
  }

  SlotResult unstamped(const SlotPlan& plan, const std::string& reason) {
    held_.erase(plan.slot->id());
    SlotResult result{
        .image = plan.written, .unstamped = reason.substr(0, kMaxReasonBytes), .failed = true};
    // runbook: warning: `... not stamped: CAUSE` | the same, and there is no stamp to keep (a new
    // slot, or another tag); also an image that cannot be read | as above; the next sweep takes a
    // baseline from what the pods run
    decision_.warnings.push_back(warning_for(plan, {not_stamped(plan, result)}));
    return result;
  }

  // From the client's annotations to the wanted ones, as far as stamps go.
  void set_stamps(StringMap& annotations) const {
    if (assessment_.annotations_pruned) return;
    std::erase_if(annotations,
                  [](const auto& entry) { return workload::is_stamp_key(entry.first); });
    if (!assessment_.edited) {
      for (const auto& [key, value] : old_template_annotations_) {
        if (workload::is_stamp_key(key)) annotations.insert_or_assign(key, value);
      }
    }
    for (std::size_t i = 0; i < results_.size(); ++i) {
      if (assessment_.slots[i].step == Step::kCarry) continue;
      const std::string& key = assessment_.slots[i].stamp_key;
      annotations.erase(key);
      if (results_[i].stamp) annotations.emplace(key, results_[i].stamp->str());
    }
  }

  // Rule 9: the last slots lose their stamps where a user's annotations fill the bound.
  void fit_stamps(StringMap& annotations) {
    for (std::size_t i = results_.size(); i-- > 0;) {
      if (workload::annotations_bytes(annotations) <= workload::kMaxAnnotationsBytes) return;
      const SlotPlan& plan = assessment_.slots[i];
      if (annotations.erase(plan.stamp_key) == 0) continue;
      results_[i] = unstamped(plan, "annotations are full (256 KiB)");
    }
  }

  // Rule 5, last sentence, and the first line of rule 1.
  void restore_keys(StringMap& wanted) const {
    const auto ours = [&](const std::string& key) {
      if (!assessment_.undo) return workload::is_written_key(key);
      return key.starts_with(kOwnKeyPrefix) || workload::is_policy_key(key);
    };
    std::erase_if(wanted, [&](const auto& entry) { return ours(entry.first); });
    for (const auto& [key, value] : old_annotations_) {
      if (ours(key)) wanted.insert_or_assign(key, value);
    }
  }

  void set_history(StringMap& wanted) {
    if (!stamps_changed_) return;
    workload::set_or_erase(wanted, workload::kHistoryKey, std::move(history_));
  }

  void set_held(StringMap& wanted) const {
    if (held_ == assessment_.held) return;
    workload::set_or_erase(wanted, workload::kHeldKey, workload::dump_held(held_));
  }

  void set_unstamped(StringMap& wanted) const {
    workload::Unstamped records;
    const auto old_text = old_annotations_.find(workload::kUnstampedKey);
    if (old_text != old_annotations_.end()) records = workload::parse_unstamped(old_text->second);
    const workload::Unstamped before = records;
    if (assessment_.edited) records.clear();
    for (std::size_t i = 0; i < results_.size(); ++i) {
      if (assessment_.slots[i].step == Step::kCarry && results_[i].unstamped.empty()) continue;
      const std::string id = assessment_.slots[i].slot->id();
      records.erase(id);
      if (!results_[i].unstamped.empty()) records.emplace(id, results_[i].unstamped);
    }
    if (records == before) return;
    workload::set_or_erase(wanted, workload::kUnstampedKey, workload::dump_unstamped(records));
  }

  // What its owner writes anew is no policy's any more.
  void set_written_images(StringMap& wanted) const {
    workload::WrittenImages images = assessment_.written_images;
    if (images.empty()) return;
    for (const SlotPlan& plan : assessment_.slots) {
      if (!plan.same_reference && !plan.rollback_to) images.erase(plan.slot->id());
    }
    if (assessment_.edited) {
      std::erase_if(images, [&](const auto& entry) { return !has_slot(entry.first); });
    }
    if (images == assessment_.written_images) return;
    workload::set_or_erase(wanted, workload::kWrittenImagesKey,
                           workload::dump_written_images(images));
  }

  static bool is_our_cause(const StringMap& annotations) {
    const auto found = annotations.find(workload::kChangeCauseKey);
    return found != annotations.end() && found->second.starts_with(workload::kChangeCausePrefix);
  }

  void set_change_cause(StringMap& wanted) const {
    constexpr std::string_view key = workload::kChangeCauseKey;
    for (std::size_t i = 0; i < results_.size(); ++i) {
      if (!results_[i].rolled_back || (wanted.contains(key) && !is_our_cause(wanted))) continue;
      const SlotPlan& plan = assessment_.slots[i];
      workload::set_or_erase(wanted, key,
                             concat({workload::kChangeCausePrefix, plan.slot->id(),
                                     " rolled back to ", short_form(plan.rollback_to->digest())}));
      return;
    }
    if (assessment_.edited) {
      if (is_our_cause(wanted)) workload::set_or_erase(wanted, key, "");
    } else if (!wanted.contains(key) && is_our_cause(old_annotations_)) {
      wanted.insert(*old_annotations_.find(key));
    }
  }

  // Rule 9: history gives way first, from its oldest entry on; holds are what is kept longest.
  void fit_records(StringMap& wanted) {
    const auto fits = [&] {
      return workload::annotations_bytes(wanted) <= workload::kMaxAnnotationsBytes;
    };
    if (fits()) return;
    // runbook: warning: `annotations are full (256 KiB)` | the workload's annotations are near the
    // limit of Kubernetes: the history was shortened, and other records left out if that was not
    // enough | find what fills them (`kubectl get -o json`), often
    // `kubectl.kubernetes.io/last-applied-configuration`: server-side apply does without it
    decision_.warnings.emplace_back(
        "tidemark: annotations are full (256 KiB): Tidemark's records were shortened");
    for (std::size_t entries = workload::kMaxHistoryEntries; entries-- > 0 && !fits();) {
      shorten_history(wanted, entries);
    }
    if (!fits() && is_our_cause(wanted)) wanted.erase(std::string(workload::kChangeCauseKey));
    for (const std::string_view key : {workload::kUnstampedKey, workload::kBaselineKey,
                                       workload::kWrittenImagesKey, workload::kHeldKey}) {
      if (!fits()) wanted.erase(std::string(key));
    }
  }

  static void shorten_history(StringMap& wanted, std::size_t max_entries) {
    const auto found = wanted.find(workload::kHistoryKey);
    if (found == wanted.end()) return;
    auto entries = workload::parse_history(found->second);
    if (entries.size() > max_entries) {
      entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(max_entries), entries.end());
    }
    workload::set_or_erase(wanted, workload::kHistoryKey,
                           entries.empty() ? "" : workload::dump_history(entries));
  }

  void warn_of_kept_tags() {
    for (const SlotPlan& plan : assessment_.slots) {
      if (!plan.left_behind) continue;
      // runbook: warning: `keeps IMAGE, which its policy chose` | the owner's file with the older
      // tag was applied again, and the tag policy's choice stays | nothing, or write the newer tag
      // into the file; to go back, `rollout undo` or another policy
      decision_.warnings.push_back(warning_for(
          plan,
          {"keeps ", plan.written, ", which its policy chose in place of ", plan.slot->image}));
    }
  }

  // Rule 6.
  void warn_of_replaced_stamps() {
    const auto value_in = [](const StringMap& map, const std::string& key) {
      const auto found = map.find(key);
      return found == map.end() ? std::string_view() : std::string_view(found->second);
    };
    for (const auto& [key, value] : submitted_template_annotations()) {
      if (!workload::is_stamp_key(key) || value == value_in(template_annotations_, key) ||
          value == value_in(old_template_annotations_, key) || is_first_answer(key)) {
        continue;
      }
      // runbook: warning: `annotation KEY is written by Tidemark alone` | the manifest holds a
      // stamp (an exported object, say) that is not the true one | leave `digest.tidemark.dev/`
      // annotations out of manifests
      decision_.warnings.push_back("tidemark: annotation " + key +
                                   " is written by Tidemark alone: the submitted value is ignored");
    }
  }

  // Rule 3, last sentence.
  void warn_of_pull_policies() {
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const SlotPlan& plan = assessment_.slots[i];
      const bool by_tag = results_[i].image == plan.written;
      if (plan.step != Step::kResolve || !results_[i].stamp || !by_tag) continue;
      const std::string pull_policy = workload::effective_pull_policy(*plan.slot);
      if (pull_policy == "Always") continue;
      // runbook: warning: `imagePullPolicy is IfNotPresent` (or `Never`) | a node that has an
      // image of that tag does not pull it again, whatever the stamp says | `imagePullPolicy:
      // Always`, or `tidemark.dev/on-cached-policy: pin`
      decision_.warnings.push_back(
          warning_for(plan, {"imagePullPolicy is ", pull_policy,
                             ": a node may run an older image than the one stamped"}));
    }
  }

  void warn_of_latest() {
    if (!policy_.warn_on_latest || !pin_mode()) return;
    for (const SlotPlan& plan : assessment_.slots) {
      if (plan.step != Step::kResolve || plan.reference->tag() != "latest") continue;
      // runbook: warning: `... is pinned by the tag latest` | pin mode with
      // `webhook.warnOnLatest`: the manifest does not say what runs | name a version
      decision_.warnings.push_back(
          warning_for(plan, {plan.written,
                             " is pinned by the tag latest: name a version, so that the manifest "
                             "says what runs"}));
    }
  }

  std::string denial() const {
    std::string message = "tidemark: every image must be stamped";
    for (std::size_t i = 0; i < results_.size(); ++i) {
      if (results_[i].unstamped.empty()) continue;
      const SlotPlan& plan = assessment_.slots[i];
      message += "; " + describe(*plan.slot) + ": " + plan.written + ": " + results_[i].unstamped;
    }
    return message;
  }

  const Review& review_;
  const Assessment& assessment_;
  const Answers& answers_;
  const Policy& policy_;
  const std::string now_;

  static inline const StringMap kNone;
  const StringMap& old_annotations_;
  const StringMap& old_template_annotations_;
  workload::Held held_;
  std::vector<SlotResult> results_;  // one for each of assessment_.slots
  StringMap template_annotations_;   // as they are to be
  StringMap own_annotations_;        // as they are to be; unused for a Pod
  bool stamps_changed_ = false;
  std::string history_;  // the new one, where stamps changed; until it is among the annotations
  Decision decision_;
};

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kUntouched:
      return "untouched";
    case Outcome::kCarried:
      return "carried";
    case Outcome::kStamped:
      return "stamped";
    case Outcome::kUnstamped:
      return "unstamped";
    case Outcome::kRolledBack:
      return "rolled-back";
    case Outcome::kDenied:
      return "denied";
  }
  return "";
}

Decision decide(const Review& review, const Assessment& assessment, const Answers& answers,
                const Policy& policy, WallTime now) {
  Decider decider(review, assessment, answers, policy, now);
  decider.decide_slots();
  decider.write_template();
  decider.write_history();
  decider.write_records();
  decider.write_warnings();
  decider.write_patch();
  decider.conclude();
  decider.write_notes();
  return decider.take();
}

}  // namespace tidemark::webhook
