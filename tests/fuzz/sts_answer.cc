// STS' XML: whatever is read stood in the input as plain text, can be sent in a header, and the
// same fields written in the plainest form are read to the same.
#include "cloud/sts_answer.h"

#include <string>

#include "cloud/step.h"
#include "fuzz/target.h"

namespace tidemark::fuzz {

void run(std::string_view input) {
  const auto answer = cloud::parse_sts_answer(input);
  if (!answer) {
    require(answer.error().message.size() < 100, "an error quotes nothing");
    return;
  }
  const cloud::AwsCredentials& got = answer->credentials;
  for (const std::string* field :
       {&got.access_key_id, &got.secret_access_key, &got.session_token}) {
    require(cloud::is_secret(*field), "a field can be sent in a header");
    require(field->find_first_of("<>&") == std::string::npos, "a field is plain text");
    require(input.find(">" + *field + "<") != std::string_view::npos, "a field stood in the input");
  }
  const auto again = cloud::parse_sts_answer(
      "<Credentials><AccessKeyId>" + got.access_key_id + "</AccessKeyId><SecretAccessKey>" +
      got.secret_access_key + "</SecretAccessKey><SessionToken>" + got.session_token +
      "</SessionToken><Expiration>" + to_rfc3339(answer->expiration) +
      "</Expiration></Credentials>");
  if (!again) {
    // Each was read, together they are too long.
    require(again.error().kind == ErrorKind::kTooLarge, "written plainly it is read again");
    return;
  }
  require(again->credentials.access_key_id == got.access_key_id &&
              again->credentials.secret_access_key == got.secret_access_key &&
              again->credentials.session_token == got.session_token &&
              again->expiration == answer->expiration,
          "written plainly it means the same");
}

}  // namespace tidemark::fuzz
