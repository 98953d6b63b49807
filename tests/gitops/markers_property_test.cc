// Documents made up from a seed, with what must become of them: whatever stands around the markers,
// the values beside them are replaced, and every other byte stays.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gitops/markers.h"

namespace tidemark::gitops {
namespace {

constexpr unsigned kSeeds = 1000;
constexpr std::string_view kTag = "1.10";  // a number, where it is plain

const PolicyImages& images() {
  static const PolicyImages kImages = {
      {"shop:app", {.name = "ghcr.io/x/app", .tag = std::string(kTag)}}};
  return kImages;
}

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed), line_end_(chance(4) ? "\r\n" : "\n") {}

  void stream() {
    if (chance(4)) both("\xEF\xBB\xBF");
    const unsigned documents = below(3) + 1;
    for (unsigned i = 0; i < documents; ++i) {
      if (i > 0 || chance(2)) line("---" + filler());
      if (chance(4)) {
        sequence(0, 0);
      } else {
        mapping(0, 0);
      }
      if (chance(5)) line("...");
    }
    if (chance(4)) {  // no line end at the end
      const std::size_t size = line_end_.size();
      before.resize(before.size() - size);
      after.resize(after.size() - size);
    }
  }

  std::string before{};
  std::string after{};
  std::size_t changes = 0;

 private:
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  bool chance(unsigned of) { return below(of) == 0; }
  std::string any_of(const std::vector<std::string>& words) {
    return words[below(static_cast<unsigned>(words.size()))];
  }

  void both(const std::string& text) {
    before += text;
    after += text;
  }
  void line(const std::string& text) { both(text + line_end_); }
  static std::string spaces(std::size_t indent) { return std::string(indent, ' '); }

  std::string blanks() { return any_of({" ", "  ", "     "}); }
  // What may stand at a line's end and marks nothing.
  std::string filler() {
    return any_of({"", "", "", "  ", " # why", " # ü 日本 😀 #", " #", " # {\"x\": 1}",
                   " # image: x # {\"$imagepolicy\": \"shop:app\"}", " # {\"$imagepolicy\""});
  }
  std::string marker() {
    return any_of({" ", "  ", "\t", " \t "}) + any_of({"#", "# ", "## ", "#\t"}) +
           any_of({R"({"$imagepolicy": "shop:app:tag"})", R"({"$imagepolicy":"shop:app:tag"})",
                   R"({ "a": "b", "$imagepolicy": "shop:app:tag" })"}) +
           any_of({"", " ", "\t"});
  }
  static std::string key(unsigned number) {
    static const std::vector<std::string> kKeys = {"image", "tag", "\"q: #\"", "'it''s'", "ключ",
                                                   "日本",  "😀",   "!!str b",  "a#b"};
    return kKeys[number % kKeys.size()];
  }
  std::string properties() {
    return any_of({"", "", "", "", "&a ", "!!str ", "!x &b-1 ", "&c !<tag:x,1:y> "});
  }
  std::string plain() {
    return any_of(
        {"x", "nginx:1.27", "a b  c", "1.9", "http://x/#y", "ä 日 😀", "true", "-1", "a:b"});
  }
  std::string quoted() {
    return any_of(
        {"''", "'#'", "'it''s # {}'", "' x '", "\"\"", "\"\\\" # \\x41\"", "\"日: #\"", "\"1.9\""});
  }

  // A value of one line, beside a marker where `marked`.
  void scalar(bool marked) {
    const std::string own = properties();
    const bool is_plain = chance(2);
    const std::string text = is_plain ? plain() : quoted();
    both(own);
    before += text;
    if (!marked) {
      after += text;
    } else {
      const std::string quote = is_plain ? "\"" : text.substr(0, 1);
      after += quote + std::string(kTag) + quote;
      ++changes;
    }
  }

  void block(std::size_t indent) {
    line(any_of({"|", ">-", "|+", "&d |", ">"}) + any_of({"", " # why"}));
    const unsigned lines = below(3) + 1;
    for (unsigned i = 0; i < lines; ++i) {
      if (chance(4)) line("");
      line(spaces(indent + 2) + any_of({"x", "image: x", "", "# "}) + "y" + marker());
    }
  }

  void flow(std::size_t indent) {
    const bool map = chance(2);
    both(map ? "{" : "[");
    const unsigned elements = below(4);
    for (unsigned i = 0; i < elements; ++i) {
      const bool marked = chance(2);
      both(spaces(below(2)));
      if (map) both("k" + std::to_string(i) + ": ");
      const bool comma_first = chance(2);
      const bool last = i + 1 == elements;
      scalar(marked);
      if (!last && (comma_first || !marked)) both(spaces(below(2)) + ",");
      if (marked) line(marker());
      if (marked) both(spaces(indent + 2));
      if (!last && !comma_first && marked) both(",");
    }
    line(std::string(map ? "}" : "]") + filler());
  }

  // What follows "key:" or "-".
  void value(std::size_t indent, unsigned depth) {
    switch (below(depth < 4 ? 8 : 5)) {
      case 0:
        both(blanks());
        scalar(true);
        line(marker());
        break;
      case 1:
        both(blanks());
        scalar(false);
        line(filler());
        break;
      case 2:
        both(" ");
        block(indent);
        break;
      case 3:
        both(" ");
        flow(indent);
        break;
      case 4:
        line(filler());
        both(spaces(indent + 2));
        scalar(true);
        line(marker());
        break;
      case 5:
        line(filler());
        sequence(indent + 2, depth + 1);
        break;
      default:
        line(filler());
        mapping(indent + 2, depth + 1);
    }
  }

  void between() {
    if (chance(8)) line("");
    if (chance(8)) line(spaces(below(6)) + "# ß {\"$imagepolicy\": \"other:x\"} #");
  }

  void mapping(std::size_t indent, unsigned depth) {
    const unsigned entries = below(4) + 1;
    const unsigned first = below(9);
    for (unsigned i = 0; i < entries; ++i) {
      between();
      both(spaces(indent) + key(first + i) + any_of({":", " :"}));
      value(indent, depth);
    }
  }

  void sequence(std::size_t indent, unsigned depth) {
    const unsigned elements = below(4) + 1;
    for (unsigned i = 0; i < elements; ++i) {
      between();
      both(spaces(indent) + "-");
      value(indent, depth);
    }
  }

  std::mt19937_64 random_;
  std::string line_end_;
};

TEST(MarkersPropertyTest, ValuesBesideMarkersAreReplacedAndNothingElse) {
  std::size_t changes = 0;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    Generator made(seed);
    made.stream();
    const auto result = rewrite_markers(made.before, images());
    ASSERT_TRUE(result.has_value()) << seed << ": " << result.error().message << "\n"
                                    << made.before;
    ASSERT_EQ(result->text, made.after) << seed;
    ASSERT_EQ(result->changes.size(), made.changes) << seed;
    ASSERT_TRUE(result->troubles.empty()) << seed << ": " << result->troubles.front().message;
    const auto again = rewrite_markers(made.after, images());
    ASSERT_TRUE(again.has_value()) << seed;
    ASSERT_EQ(again->text, made.after) << seed;
    ASSERT_TRUE(again->changes.empty()) << seed;
    changes += made.changes;
  }
  EXPECT_GT(changes, kSeeds);
}

}  // namespace
}  // namespace tidemark::gitops
