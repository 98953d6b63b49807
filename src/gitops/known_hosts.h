// check_known_host: whether a server's SSH key is one that a known_hosts file has for it.
//
// Thread-safety: a free function. Errors: kTls where the file has another key for the host, or none
// (a server shows one of its keys alone: the file should have all that ssh-keyscan prints);
// kInvalid for a file that cannot be read. Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tidemark::gitops {

// `url`: ssh://..., for its port; `key`: as it goes over the wire (RFC 4253, 6.6).
Status check_known_host(const std::string& known_hosts, std::string_view url, const char* host,
                        std::string_view key);

}  // namespace tidemark::gitops
