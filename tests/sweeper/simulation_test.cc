// Whole sweeps against a cluster and a registry that fail at random: what must hold whatever
// happens.
//
// Each seed is one world: tags move, or newer ones are pushed that a policy follows (some to images
// that never become ready), answers are refused,
// cut, late or lost, objects change under the sweeper's hands, sweepers are killed between two
// requests, clocks jump. TIDEMARK_SIMULATION_SEEDS and TIDEMARK_SIMULATION_WORKLOADS make it larger
// (`./dev bench simulation`); a failure names its seed, which alone repeats it:
// TIDEMARK_SIMULATION_FIRST_SEED.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "sweeper/cluster.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;

constexpr int kFaultyRounds = 25;
constexpr int kRoundsToSettle = 400;
constexpr std::size_t kImages = 8;
constexpr std::size_t kFollowed = 2;  // of these, the last ones: by a tag policy
constexpr std::size_t kNamespaces = 3;

// A few at a time in a small world; in a large one as many more, so that it comes to rest as soon.
PaceOptions budgets_of(std::size_t workloads) {
  const std::size_t times = std::max<std::size_t>(workloads / 40, 1);
  return {.max_rollouts = 6 * times,
          .max_rollouts_per_namespace = 4 * times,
          .max_rollouts_per_image = 3 * times};
}

std::size_t from_environment(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoul(text, nullptr, 10);
}

image::Digest digest_of(std::size_t image, std::size_t version) {
  std::string hex = std::to_string(image) + "e" + std::to_string(version) + "e";
  hex.resize(64, '0');
  return image::Digest::parse("sha256:" + hex).value();
}

struct Image {
  std::string name;  // in the beginning; a policy writes other tags
  bool followed = false;
  std::size_t version = 0;
  std::set<std::string> served;  // digests
  std::set<std::string> bad;     // of these, those whose pods never become ready
};

// What the world knows of a workload besides its object.
struct Record {
  Spec spec;
  std::vector<std::size_t> images;            // of its containers
  std::vector<std::string> stamps;            // as last seen
  std::vector<std::set<std::string>> rolled;  // of each slot: the digests it was brought to
  nlohmann::json pod_template;
  int ticks_left = 0;  // until its pods are ready
  bool ours = false;   // the rollout under way is the sweeper's
};

class World {
 public:
  World(std::uint64_t seed, std::size_t workloads) : random_(seed) {
    cluster_.options.pace = budgets_of(workloads);
    cluster_.options.check.concurrency = 1;  // the same seed, the same story
    cluster_.options.check.order = seed;
    cluster_.options.selection.lists_at_once = 1;
    cluster_.options.read_secrets = false;
    cluster_.options.adopt.enabled = cluster_.options.check.adopt = false;
    cluster_.options.apply.max_tries = 2;
    for (std::size_t i = 0; i < kNamespaces; ++i) cluster_.add_namespace(namespace_of(i));
    for (std::size_t i = 0; i < kImages; ++i) add_image(i);
    for (std::size_t i = 0; i < workloads; ++i) add_workload(i);
    cluster_.api.before([this](const auto& call) { return before(call); });
    cluster_.api.after([this](const auto& call) { return after(call); });
  }

  // One round, with faults or without.
  void round(bool faulty) {
    faulty_ = faulty;
    calls_until_killed_ = faulty && chance(10) ? pick(40) : SIZE_MAX;
    if (faulty) {
      for (std::size_t i = 0; i < kImages; ++i) {
        if (chance(8)) move(i, chance(25));
      }
    }
    for (std::size_t i = kImages - kFollowed; i < kImages; ++i) serve_tags(i, faulty && chance(20));
    killed_ = std::stop_source();
    const auto report = cluster_.sweep(killed_.get_token());
    if (!faulty) {
      EXPECT_TRUE(report);
    }
    observe();
    cluster_.clock.advance(std::chrono::seconds{faulty && chance(5) ? 100'000 : pick(300)});
    work();
  }

  void move_all_to_good_ones() {
    for (std::size_t i = 0; i < kImages; ++i) move(i, false);
  }

  bool settled() const {
    return std::ranges::all_of(records_, [&](const Record& record) {
      for (std::size_t slot = 0; slot < record.images.size(); ++slot) {
        const Image& image = images_[record.images[slot]];
        if (!record.stamps[slot].ends_with(digest_of(record.images[slot], image.version).str())) {
          return false;
        }
      }
      return record.ticks_left == 0;
    });
  }

  std::size_t rolls() const { return rolls_; }
  std::size_t spread_of_bad_images() const { return spread_; }

 private:
  bool chance(unsigned percent) { return pick(100) < percent; }
  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }
  static std::string namespace_of(std::size_t i) { return "team-" + std::to_string(i); }

  void add_image(std::size_t i) {
    Image& image = images_.emplace_back();
    image.followed = i >= kImages - kFollowed;
    image.name = repository_of_image(i) + (image.followed ? ":b0" : ":1");
    image.served.insert(digest_of(i, 0).str());
    answer_for(i, image.name, image.followed ? std::optional<std::size_t>(0) : std::nullopt);
  }

  static std::string repository_of_image(std::size_t i) {
    return "registry.test/app-" + std::to_string(i);
  }

  // `version`: of a tag that never moves.
  void answer_for(std::size_t i, const std::string& name, std::optional<std::size_t> version) {
    cluster_.resolver.answer(
        name,
        [this, i, version](const registry::Query&, Deadline,
                           const std::stop_token&) -> Result<registry::Resolution> {
          if (faulty_ && chance(20)) {
            const std::array kinds{ErrorKind::kTooMany, ErrorKind::kUnavailable,
                                   ErrorKind::kTimeout, ErrorKind::kInvalid};
            return tidemark::fail(kinds[pick(kinds.size())], "the registry is out of order");
          }
          return registry::Resolution{.digest = digest_of(i, version.value_or(images_[i].version))};
        });
  }

  void serve_tags(std::size_t i, bool refused) {
    std::vector<std::string> tags{"latest"};
    for (std::size_t version = 0; version <= images_[i].version; ++version) {
      tags.push_back("b" + std::to_string(version));
    }
    cluster_.resolver.serve_tags(repository_of_image(i), std::move(tags));
    if (!refused) return;
    cluster_.resolver.refuse_tags(repository_of_image(i), {ErrorKind::kTimeout, "no list of tags"});
  }

  void move(std::size_t i, bool bad) {
    Image& image = images_[i];
    const std::string digest = digest_of(i, ++image.version).str();
    if (image.followed) {
      const std::string tag = ":b" + std::to_string(image.version);
      answer_for(i, repository_of_image(i) + tag, image.version);
    }
    image.served.insert(digest);
    if (bad) image.bad.insert(digest);
  }

  void add_workload(std::size_t i) {
    Record& record = records_.emplace_back();
    constexpr std::array kKinds{"Deployment", "Deployment", "StatefulSet", "DaemonSet", "CronJob"};
    record.spec.kind = kKinds[pick(kKinds.size())];
    record.spec.ns = namespace_of(pick(kNamespaces));
    record.spec.name = "w" + std::to_string(i);
    record.spec.containers.clear();
    const std::size_t containers = chance(15) ? 2 : 1;
    for (std::size_t slot = 0; slot < containers; ++slot) {
      const std::size_t image = pick(kImages);
      record.images.push_back(image);
      Container container{.name = "c" + std::to_string(slot), .image = images_[image].name};
      container.stamp = workload::Stamp::make(image::Reference::parse(images_[image].name).value(),
                                              digest_of(image, 0))
                            .str();
      record.stamps.push_back(container.stamp);
      if (images_[image].followed) {
        record.spec.annotations["policy.tidemark.dev/" + container.name] =
            "numerical: asc\nfilter: ^b(\\d+)$\nextract: $1";
      }
      record.spec.containers.push_back(std::move(container));
    }
    record.rolled.resize(containers);
    cluster_.put(record.spec);
    nlohmann::json object = cluster_.api.object(path_of(record.spec));
    record.pod_template = template_of(record, object);
    put_status(record, object, /*generation=*/1);
  }

  nlohmann::json template_of(const Record& record, const nlohmann::json& object) const {
    return object.at(nlohmann::json::json_pointer(kind_of(record.spec).template_pointer));
  }

  bool runs_bad_image(const Record& record) const {
    for (std::size_t slot = 0; slot < record.images.size(); ++slot) {
      const auto stamp = workload::Stamp::parse(record.stamps[slot]);
      if (images_[record.images[slot]].bad.contains(stamp->digest().str())) return true;
    }
    return false;
  }

  // It says so itself, and is under way no more.
  static bool failed(const Record& record) {
    return record.spec.kind == "Deployment" && record.ticks_left < -2;
  }

  // As the controllers would write it. A Deployment that makes no progress says so in the end.
  void put_status(const Record& record, nlohmann::json object, std::int64_t generation) {
    const bool done = record.ticks_left == 0;
    const int ready = done ? 2 : 1;
    object["metadata"]["generation"] = generation;
    nlohmann::json& status = object["status"];
    status = {{"observedGeneration", generation}};
    if (record.spec.kind == "Deployment") {
      object["spec"]["replicas"] = 2;
      status.update({{"replicas", 2}, {"updatedReplicas", ready}, {"availableReplicas", ready}});
      status["conditions"] = {{{"type", "Progressing"},
                               {"reason", failed(record) ? "ProgressDeadlineExceeded" : "Fine"}}};
    } else if (record.spec.kind == "StatefulSet") {
      object["spec"]["replicas"] = 2;
      status.update({{"readyReplicas", ready},
                     {"updateRevision", "r" + std::to_string(generation)},
                     {"currentRevision", "r" + std::to_string(done ? generation : 0)}});
    } else if (record.spec.kind == "DaemonSet") {
      status.update({{"desiredNumberScheduled", 2},
                     {"updatedNumberScheduled", ready},
                     {"numberAvailable", ready}});
    }
    cluster_.api.put(path_of(record.spec), object.dump());
  }

  // What the sweep did, and whether it may.
  void observe() {
    for (Record& record : records_) {
      const nlohmann::json object = cluster_.api.object(path_of(record.spec));
      nlohmann::json now = template_of(record, object);
      if (now == record.pod_template) continue;
      record.pod_template = std::move(now);
      record.ticks_left = record.spec.kind == "CronJob" ? 0 : 1 + static_cast<int>(pick(3));
      record.ours = true;
      ++rolls_;
      for (std::size_t slot = 0; slot < record.images.size(); ++slot) see_slot(record, slot);
      put_status(record, object, object["metadata"].value("generation", std::int64_t{1}) + 1);
    }
    count_rollouts();
  }

  void see_slot(Record& record, std::size_t slot) {
    const std::string key = std::string(workload::kStampPrefix) + "c" + std::to_string(slot);
    const std::string stamp = record.pod_template["metadata"]["annotations"].value(key, "");
    if (stamp == record.stamps[slot]) return;
    record.stamps[slot] = stamp;
    const Image& image = images_[record.images[slot]];
    const std::string digest = workload::Stamp::parse(stamp)->digest().str();
    EXPECT_TRUE(stamp.starts_with(image_in(record, slot) + "@")) << stamp << " is of another tag";
    EXPECT_TRUE(image.served.contains(digest)) << record.spec.name << " to what nobody served";
    EXPECT_TRUE(record.rolled[slot].insert(digest).second)
        << record.spec.name << " was brought to " << digest << " twice";
    if (!image.bad.contains(digest) || record.spec.kind == "CronJob") return;
    ill_[digest].insert(record.spec.name);
    spread_ = std::max(spread_, ill_[digest].size());
  }

  static std::string image_in(const Record& record, std::size_t slot) {
    return record.pod_template["spec"]["containers"][slot]["image"].get<std::string>();
  }

  void count_rollouts() const {
    std::size_t all = 0;
    std::map<std::string, std::size_t> of_namespace;
    std::map<std::size_t, std::size_t> of_image;
    for (const Record& record : records_) {
      if (!record.ours || record.ticks_left == 0 || failed(record)) continue;
      ++all;
      ++of_namespace[record.spec.ns];
      for (const std::size_t image : record.images) {
        // The budget is a tag's, and a policy leads from one to the next.
        if (!images_[image].followed) ++of_image[image];
      }
    }
    const PaceOptions& budgets = cluster_.options.pace;
    EXPECT_LE(all, budgets.max_rollouts);
    for (const auto& [ns, count] : of_namespace) {
      EXPECT_LE(count, budgets.max_rollouts_per_namespace) << ns;
    }
    for (const auto& [image, count] : of_image) {
      EXPECT_LE(count, budgets.max_rollouts_per_image + 2) << images_[image].name;
    }
  }

  // The controllers go on: pods become ready, or never.
  void work() {
    for (Record& record : records_) {
      if (record.ticks_left == 0) continue;
      if (runs_bad_image(record)) {
        record.ticks_left = record.ticks_left > 0 ? -1 : record.ticks_left - 1;
      } else {
        record.ticks_left = std::max(record.ticks_left - 1, 0);
      }
      const nlohmann::json object = cluster_.api.object(path_of(record.spec));
      put_status(record, object, object["metadata"].value("generation", std::int64_t{1}));
    }
  }

  std::optional<Error> before(const tidemark::testing::FakeKubeApi::Call& call) {
    if (calls_until_killed_ != SIZE_MAX && calls_until_killed_-- == 0) {
      killed_.request_stop();
      return Error{.kind = ErrorKind::kCanceled, .message = "killed"};
    }
    if (!faulty_) return std::nullopt;
    if (call.verb == "patch" && chance(10)) edit(call.path);
    if (!chance(call.verb == "list" ? 4 : 10)) return std::nullopt;
    const std::array kinds{ErrorKind::kTooMany, ErrorKind::kUnavailable, ErrorKind::kTimeout,
                           ErrorKind::kGone, ErrorKind::kConflict};
    return Error{.kind = kinds[pick(kinds.size())], .message = "the API server is out of order"};
  }

  std::optional<Error> after(const tidemark::testing::FakeKubeApi::Call& call) {
    if (!faulty_ || call.verb == "list" || !chance(10)) return std::nullopt;
    return Error{.kind = ErrorKind::kUnavailable, .message = "the answer was lost"};
  }

  // Somebody else writes, in the very moment.
  void edit(const std::string& path) {
    nlohmann::json object = cluster_.api.object(path);
    if (!object.is_object()) return;
    object["metadata"]["labels"]["edited"] = std::to_string(++edits_);
    cluster_.api.put(path, object.dump());
  }

  std::mt19937_64 random_;
  Cluster cluster_;
  std::vector<Image> images_;
  std::vector<Record> records_;
  bool faulty_ = false;
  std::size_t calls_until_killed_ = SIZE_MAX;
  std::stop_source killed_;
  std::size_t edits_ = 0;
  std::size_t rolls_ = 0;
  std::map<std::string, std::set<std::string>> ill_;  // of each bad digest: workloads with pods
  std::size_t spread_ = 0;
};

TEST(Simulation, KeepsItsPromisesWhateverFails) {
  const std::size_t first = from_environment("TIDEMARK_SIMULATION_FIRST_SEED", 1);
  const std::size_t seeds = from_environment("TIDEMARK_SIMULATION_SEEDS", 5);
  const std::size_t workloads = from_environment("TIDEMARK_SIMULATION_WORKLOADS", 40);
  for (std::size_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed, workloads);
    for (int i = 0; i < kFaultyRounds; ++i) world.round(true);
    EXPECT_GT(world.rolls(), 0U);
    EXPECT_LE(world.spread_of_bad_images(), 1U) << "a bad image went beyond its first workload";
    world.move_all_to_good_ones();
    int rounds = 0;
    while (!world.settled() && rounds++ < kRoundsToSettle) world.round(false);
    EXPECT_TRUE(world.settled()) << "it does not come to rest";
    const std::size_t rolls = world.rolls();
    for (int i = 0; i < 3; ++i) world.round(false);
    EXPECT_EQ(world.rolls(), rolls) << "nothing moved, yet it rolled";
  }
}

}  // namespace
}  // namespace tidemark::sweeper
