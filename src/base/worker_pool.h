// WorkerPool: a fixed number of threads and a bounded queue.
//
// Purpose: blocking work (registry requests, name lookups) beside the thread that waits for it.
// Thread-safety: submit() from any thread. Ownership: the pool owns its threads; the destructor
// runs what is queued and joins, so tasks need deadlines of their own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace tidemark {

class WorkerPool {
 public:
  WorkerPool(std::size_t threads, std::size_t max_queued);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False, and nothing done, when the queue is full: the caller answers at once instead of late.
  // The task must not throw.
  [[nodiscard]] bool submit(std::function<void()> task);

 private:
  void work(const std::stop_token& stop);

  const std::size_t max_queued_;
  std::mutex mutex_;
  std::condition_variable_any available_;
  std::deque<std::function<void()>> queue_;
  std::vector<std::jthread> threads_;  // last: joined before the queue goes
};

}  // namespace tidemark
