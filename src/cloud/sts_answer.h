// The credentials in what AWS' Security Token Service answers.
//
// Purpose: STS speaks XML; four elements of it are wanted, whose texts are plain (Base64, RFC
// 3339). No XML parser: entities, comments and attributes in them are refused, and so is any of
// them twice. Thread-safety: a pure function. Errors: kInvalid, without any byte of the answer.
// Source: AWS STS API reference, AssumeRoleWithWebIdentity and Credentials.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cloud/sigv4.h"

namespace tidemark::cloud {

struct StsCredentials {
  AwsCredentials credentials;
  WallTime expiration;
};

Result<StsCredentials> parse_sts_answer(std::string_view xml);

}  // namespace tidemark::cloud
