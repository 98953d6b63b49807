#include "config/names.h"

#include <algorithm>
#include <cstddef>

#include "config/yaml_section.h"
#include "workload/settings.h"

namespace tidemark::config {

bool is_dns_subdomain(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

std::string secret_name(const YamlValue& value) {
  std::string text = value.text();
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view name = std::string_view(text).substr(std::min(slash + 1, text.size()));
  if (!is_dns_subdomain(name) || !workload::is_dns_label(std::string_view(text).substr(0, slash))) {
    value.fail("is no Secret (namespace/name)");
  }
  return text;
}

std::string namespace_name(const YamlValue& value) {
  std::string name = value.text();
  if (!workload::is_dns_label(name)) value.fail("is not a namespace's name");
  return name;
}

}  // namespace tidemark::config
