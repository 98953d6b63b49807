// TemplateSchemas: whether the API server would store a stamp of a custom kind at all.
//
// Purpose: rule 11 of the stamp contract. A kind whose CustomResourceDefinition prunes template
// annotations gets none, and no history of them either. Asked at start and again after kInterval.
// Thread-safety: prunes() from many threads. Ownership: the caller keeps api, clock and metrics
// alive. Errors: a definition that cannot be read (counted and logged) leaves the answer as it was,
// at first "not pruned": most definitions keep annotations, and admission never waits for long.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "kube/api.h"
#include "workload/kind.h"

namespace tidemark::webhook {

class TemplateSchemas {
 public:
  // How long a changed definition may go unseen.
  static constexpr std::chrono::milliseconds kInterval{60'000};

  // `api` nullptr: there is nobody to ask, nothing is pruned.
  TemplateSchemas(kube::Api* api, const Clock& clock, Metrics& metrics, Logger log);

  // Built-in kinds keep what they are given: nobody is asked.
  bool prunes(const workload::Kind& kind, Deadline deadline);

 private:
  struct Answer {
    bool pruned = false;
    SteadyTime ask_again{};
  };
  void remember(const std::string& name, bool pruned, const workload::Kind& kind);

  kube::Api* const api_;
  const Clock& clock_;
  const Counter failures_;
  const Logger log_;
  std::mutex mutex_;
  std::map<std::string, Answer> answers_;  // by the definition's name: as many as kinds configured
};

}  // namespace tidemark::webhook
