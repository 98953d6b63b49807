// LruMap: a map of bounded size; what was used longest ago gives way.
//
// Thread-safety: none, the owner locks. Ownership: values live in the map; a pointer from find() is
// valid until the next put() or erase().
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace tidemark::registry {

template <typename Value>
class LruMap {
 public:
  explicit LruMap(std::size_t max_entries) : max_entries_(max_entries) {}
  LruMap(const LruMap&) = delete;
  LruMap& operator=(const LruMap&) = delete;

  // nullptr for none; what is found counts as used now.
  Value* find(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }
  Value& put(std::string key, Value value) {
    if (Value* known = find(key)) return *known = std::move(value);
    order_.emplace_front(std::move(key), std::move(value));
    index_.emplace(order_.front().first, order_.begin());
    if (order_.size() > max_entries_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    return order_.front().second;
  }
  void erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const auto node = found->second;
    index_.erase(found);
    order_.erase(node);
  }
  std::size_t size() const { return order_.size(); }
  // Pairs of key and value, the last used first. Looking at them is no use.
  auto begin() const { return order_.begin(); }
  auto end() const { return order_.end(); }

 private:
  using Order = std::list<std::pair<std::string, Value>>;  // the last used first
  std::size_t max_entries_;
  Order order_;
  std::unordered_map<std::string_view, typename Order::iterator> index_;  // keys live in order_
};

}  // namespace tidemark::registry
