#include "kube/list_pages.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace tidemark::kube {
namespace {

// One page: asked for at once, its items handed out from begin() on.
class Page {
 public:
  Page(const ReadPage& read, const Api::ItemSink& item, std::string token,
       const std::stop_token& stop)
      : thread_([this, &read, &item, token = std::move(token)](const std::stop_token& own) {
          work(read, item, token, own);
        }),
        stopped_(stop, [this] { thread_.request_stop(); }) {}

  // The next page's token as soon as this one tells it; "" where it does not before its items.
  std::string begin() {
    std::unique_lock lock(mutex_);
    turn_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return next_.has_value(); });
    return *next_;
  }
  PageRead finish() {
    thread_.join();
    return std::move(done_);
  }

 private:
  void work(const ReadPage& read, const Api::ItemSink& item, const std::string& token,
            const std::stop_token& stop) {
    bool first = true;
    const Api::ItemSink in_turn = [&](std::string_view text) -> Status {
      if (first && !wait_for_turn(stop)) return fail(ErrorKind::kCanceled, "stopped");
      first = false;
      return item(text);
    };
    ListStream stream(in_turn, [this](const std::string& next) { tell(next); });
    done_ = read(token, stream, stop);
    tell("");
  }

  bool wait_for_turn(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    return changed_.wait(lock, stop, [this] { return turn_; });
  }
  // Only the first call counts.
  void tell(const std::string& next) {
    const std::lock_guard lock(mutex_);
    if (!next_) next_ = next;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool turn_ = false;
  std::optional<std::string> next_;
  PageRead done_;  // the thread's until it ends
  std::jthread thread_;
  std::stop_callback<std::function<void()>> stopped_;  // last: ends before the thread that it stops
};

}  // namespace

Result<ListResult> list_pages(const ReadPage& read, const Api::ItemSink& item,
                              const std::stop_token& stop) {
  const auto ask = [&](std::string token) {
    return std::make_unique<Page>(read, item, std::move(token), stop);
  };
  ListResult result;
  bool resumed = false;
  auto page = ask("");
  while (true) {
    const std::string next = page->begin();
    auto ahead = next.empty() ? nullptr : ask(next);
    PageRead done = page->finish();
    if (!done.info) {
      const bool may_go_on = done.info.error().kind == ErrorKind::kGone && !resumed;
      if (!may_go_on || done.other_continue_token.empty())
        return fail(std::move(done.info.error()));
      page = ask(std::move(done.other_continue_token));
      resumed = true;
      continue;
    }
    // The first page's version also where the rest was read at a newer one: a watch from there
    // repeats changes, but misses none.
    if (result.pages == 0) result.resource_version = std::move(done.info->resource_version);
    ++result.pages;
    result.items += done.info->items;
    const std::string& token = done.info->continue_token;
    if (token.empty()) return result;
    page = ahead != nullptr && token == next ? std::move(ahead) : ask(token);
  }
}

}  // namespace tidemark::kube
