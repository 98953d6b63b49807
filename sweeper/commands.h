// once, status, explain, policy, git, history, hold, resume and migrate: what people and CronJobs
// call.
//
// Purpose: each command as a function over the interfaces that a sweep works with, printing to a
// stream and giving the exit code. Thread-safety: one thread.
// Errors: a line on `err` and exit code 1.
#pragma once

#include <iosfwd>
#include <stop_token>

#include "sweeper/git_loop.h"
#include "sweeper/options.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper {

struct Streams {
  std::ostream& out;
  std::ostream& err;
  bool (*reader_is_gone)() = nullptr;  // of `out`; nullptr: never
};

SweepOptions sweep_options(const Options& options);

int once(const SweepContext& context, const Options& options, Streams streams,
         std::stop_token stop = {});
// Asked of the running sweeper where it can answer, else of the API server and the registries: the
// same rows. With --watch: until stopped, the rows that changed; without a running sweeper that is
// one question a registry for each reference and round. Ends, with a failed stream, where its
// reader is gone.
int status(const SweepContext& context, const Options& options, Streams streams,
           std::stop_token stop = {});
int explain(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop = {});
int policies(const SweepContext& context, const Options& options, Streams streams,
             std::stop_token stop = {});
// 1 where a policy, a repository or a marker failed, if asked for.
int write_git(GitLoop& loop, const Options& options, Streams streams, std::stop_token stop = {});
int history(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop = {});
int hold(const SweepContext& context, const Options& options, Streams streams,
         std::stop_token stop = {});
// Tells, too, what still holds the workload.
int resume(const SweepContext& context, const Options& options, Streams streams,
           std::stop_token stop = {});
// 1 also where a kind could not be listed, or a change not be written.
int migrate(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop = {});
// The rest of a completion: names that the API server knows. Never fails; waits for a second.
int complete_names(kube::Api& api, const Options& options, std::ostream& out,
                   std::stop_token stop = {});

}  // namespace tidemark::sweeper
