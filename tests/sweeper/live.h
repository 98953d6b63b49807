// LiveTest: a sweeper that leads, and answers from what its watches know.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "base/log.h"
#include "support/soon.h"
#include "sweeper/cluster.h"
#include "sweeper/inventory.h"
#include "sweeper/live_status.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper::testing {

using tidemark::testing::soon;

class LiveTest : public ::testing::Test {
 protected:
  // As at first, before any replica leads.
  void start() { live_ = std::make_unique<LiveStatus>(cluster_.context(), sweeps()); }

  // Sweeps once what the cluster's options select, writing nothing, and knows everything from then
  // on.
  void lead() {
    start();
    inventory_ = std::make_unique<Inventory>(
        cluster_.api,
        InventoryOptions{
            .kinds = {}, .selection = cluster_.options.selection, .defaults = {}, .pods = true},
        Logger::none());
    live_->lead(*inventory_);
    const auto report = sweeper::sweep(
        cluster_.context(), sweeps(),
        [this](const std::stop_token& stop) { return inventory_->snapshot(stop); }, {});
    ASSERT_TRUE(report);
    live_->learned(*report, /*whole=*/true);
    ASSERT_TRUE(soon([&] { return inventory_->running().problems.empty(); }));
  }

  Cluster cluster_;
  std::unique_ptr<LiveStatus> live_;
  std::unique_ptr<Inventory> inventory_;

 private:
  SweepOptions sweeps() const {
    SweepOptions options = cluster_.options;
    options.dry_run = true;
    return options;
  }
};

}  // namespace tidemark::sweeper::testing
