#include "cloud/sts_answer.h"

#include <string>
#include <utility>

#include "cloud/step.h"

namespace tidemark::cloud {
namespace {

// What stands between the only <name> and the only </name>, tags of other names included.
Result<std::string_view> element(std::string_view xml, const std::string& name) {
  const std::string open = "<" + name + ">";
  const std::string close = "</" + name + ">";
  const std::size_t begin = xml.find(open);
  const std::size_t end = xml.find(close);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin ||
      xml.rfind(open) != begin || xml.rfind(close) != end) {
    return fail(ErrorKind::kInvalid, "STS: the answer does not have one " + name);
  }
  return xml.substr(begin + open.size(), end - begin - open.size());
}

Result<std::string> text_of(std::string_view xml, const std::string& name) {
  const auto text = element(xml, name);
  if (!text) return fail(text.error());
  if (!is_secret(*text) || text->find_first_of("<>&") != std::string_view::npos) {
    return fail(ErrorKind::kInvalid, "STS: " + name + " of the answer is not plain text");
  }
  return std::string(*text);
}

}  // namespace

Result<StsCredentials> parse_sts_answer(std::string_view xml) {
  if (xml.size() > kMaxAnswerBytes) return fail(ErrorKind::kTooLarge, "STS: a long answer");
  const auto credentials = element(xml, "Credentials");
  if (!credentials) return fail(credentials.error());
  auto id = text_of(*credentials, "AccessKeyId");
  if (!id) return fail(std::move(id.error()));
  auto key = text_of(*credentials, "SecretAccessKey");
  if (!key) return fail(std::move(key.error()));
  auto token = text_of(*credentials, "SessionToken");
  if (!token) return fail(std::move(token.error()));
  const auto until = text_of(*credentials, "Expiration");
  if (!until) return fail(until.error());
  const auto time = parse_rfc3339(*until);
  if (!time) return fail(ErrorKind::kInvalid, "STS: Expiration of the answer is not a time");
  return StsCredentials{.credentials = {.access_key_id = std::move(*id),
                                        .secret_access_key = std::move(*key),
                                        .session_token = std::move(*token)},
                        .expiration = *time};
}

}  // namespace tidemark::cloud
