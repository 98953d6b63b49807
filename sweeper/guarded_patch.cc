#include "sweeper/guarded_patch.h"

#include "workload/annotations.h"

namespace tidemark::sweeper {
namespace {

using workload::StringMap;

constexpr std::string_view kAnnotations = "/metadata/annotations";

void test_annotations(workload::JsonPatch& patch, const workload::Object& object,
                      const StringMap& wanted) {
  if (!object.has_annotations) {
    patch.test(kAnnotations, "null");
    return;
  }
  const auto pin = [&](const std::string& key) {
    const auto old = object.annotations.find(key);
    const auto next = wanted.find(key);
    const bool had = old != object.annotations.end();
    if (had && next != wanted.end() && old->second == next->second) return;
    patch.test(std::string(kAnnotations) + "/" + workload::escape_pointer_token(key),
               had ? stored_string(old->second) : "null");
  };
  for (const auto& [key, value] : object.annotations) pin(key);
  for (const auto& [key, value] : wanted) {
    if (!object.annotations.contains(key)) pin(key);
  }
}

}  // namespace

std::string stored_string(std::string_view text) {
  static constexpr std::string_view kLineSeparator = "\xe2\x80\xa8";       // U+2028
  static constexpr std::string_view kParagraphSeparator = "\xe2\x80\xa9";  // U+2029
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    const auto c = static_cast<unsigned char>(text[i]);
    if (rest.starts_with(kLineSeparator) || rest.starts_with(kParagraphSeparator)) {
      out += rest.starts_with(kLineSeparator) ? "\\u2028" : "\\u2029";
      i += kLineSeparator.size() - 1;
    } else if (c == '"' || c == '\\') {
      (out += '\\') += text[i];
    } else if (const auto known = std::string_view("\b\f\n\r\t").find(text[i]);
               known != std::string_view::npos) {
      (out += '\\') += std::string_view("bfnrt")[known];
    } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
      ((out += "\\u00") += kHex[c >> 4U]) += kHex[c & 0xfU];
    } else {
      out += text[i];
    }
  }
  return out + "\"";
}

workload::JsonPatch patch_of(const workload::Object& object) {
  workload::JsonPatch patch;
  patch.test("/metadata/uid", stored_string(object.uid));
  return patch;
}

void change_annotations(workload::JsonPatch& patch, const workload::Object& object,
                        const workload::StringMap& wanted) {
  test_annotations(patch, object, wanted);
  patch.change_map(kAnnotations, /*parent_exists=*/true, object.has_annotations, object.annotations,
                   wanted);
}

}  // namespace tidemark::sweeper
