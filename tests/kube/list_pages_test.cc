#include "kube/list_pages.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tidemark::kube {
namespace {

// "p2" names its items "p2.0" and "p2.1".
std::string page_text(const std::string& name, const std::string& next) {
  return R"({"metadata":{"resourceVersion":"of-)" + name + R"(","continue":")" + next +
         R"("},"items":[{"n":")" + name + R"(.0"},{"n":")" + name + R"(.1"}]})";
}

std::string item_text(const std::string& name) { return R"({"n":")" + name + R"("})"; }

class ListPagesTest : public ::testing::Test {
 protected:
  // Pages "" -> "p2" -> "p3".
  std::map<std::string, std::string> pages_{
      {"", page_text("p1", "p2")}, {"p2", page_text("p2", "p3")}, {"p3", page_text("p3", "")}};

  ReadPage read_ = [this](const std::string& token, ListStream& stream,
                          const std::stop_token& stop) -> PageRead {
    note_asked(token);
    if (!pages_.contains(token)) return {.info = fail(ErrorKind::kUnavailable, "no " + token)};
    stream.push(pages_.at(token));
    if (stop.stop_requested()) ++stopped_;
    return {.info = stream.finish()};
  };

  void note_asked(const std::string& token) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(token);
    changed_.notify_all();
  }
  // Waits until so many pages were asked for.
  bool wait_asked(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds{20},
                             [&] { return asked_.size() >= count; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> asked_;
  std::atomic<int> stopped_ = 0;
  std::vector<std::string> items_;
  Api::ItemSink keep_ = [this](std::string_view item) -> Status {
    items_.emplace_back(item);
    return {};
  };
};

TEST_F(ListPagesTest, TheNextPageIsAskedForWhileThisOneIsWorkedOn) {
  const Api::ItemSink item = [&](std::string_view text) -> Status {
    if (text == item_text("p1.0")) {
      EXPECT_TRUE(wait_asked(2)) << "before the first item is done";
    }
    if (text == item_text("p2.1")) {
      EXPECT_TRUE(wait_asked(3));
    }
    if (text == item_text("p1.1")) {
      const std::lock_guard lock(mutex_);
      EXPECT_EQ(asked_.size(), 2U) << "one page ahead, no more";
    }
    return keep_(text);
  };
  const auto result = list_pages(read_, item, {});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(items_,
            (std::vector<std::string>{item_text("p1.0"), item_text("p1.1"), item_text("p2.0"),
                                      item_text("p2.1"), item_text("p3.0"), item_text("p3.1")}));
  EXPECT_EQ(result->pages, 3U);
  EXPECT_EQ(result->items, 6U);
  EXPECT_EQ(result->resource_version, "of-p1");
  EXPECT_EQ(asked_, (std::vector<std::string>{"", "p2", "p3"}));
}

TEST_F(ListPagesTest, NothingOfThePageAheadIsHandedOutWhereThisOneFails) {
  const Api::ItemSink item = [&](std::string_view text) -> Status {
    EXPECT_TRUE(wait_asked(2));
    if (text == item_text("p1.1")) return fail(ErrorKind::kInvalid, "enough");
    return keep_(text);
  };
  const auto result = list_pages(read_, item, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "enough");
  EXPECT_EQ(items_, std::vector<std::string>{item_text("p1.0")});
  EXPECT_EQ(asked_.size(), 2U);
  EXPECT_EQ(stopped_, 1) << "the page ahead, which waited for its turn";
}

TEST_F(ListPagesTest, ThePageAheadFailsInItsTurn) {
  pages_.erase("p2");
  const auto result = list_pages(read_, keep_, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "no p2");
  EXPECT_EQ(items_.size(), 2U) << "all of the first page";
}

TEST_F(ListPagesTest, APageThatNamesTheNextOneAtItsEndIsFollowed) {
  pages_[""] = R"({"items":[{"n":"p1.0"}],"metadata":{"continue":"p3"}})";
  const auto result = list_pages(read_, keep_, {});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(items_.size(), 3U);
  EXPECT_EQ(asked_, (std::vector<std::string>{"", "p3"}));
}

TEST_F(ListPagesTest, AStopEndsBothPages) {
  std::stop_source stop;
  const Api::ItemSink item = [&](std::string_view) -> Status {
    EXPECT_TRUE(wait_asked(2));
    stop.request_stop();
    return fail(ErrorKind::kCanceled, "stopped");
  };
  const auto result = list_pages(read_, item, stop.get_token());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kCanceled);
  EXPECT_EQ(stopped_, 2);
}

}  // namespace
}  // namespace tidemark::kube
