// host_name: what this machine, or this pod, is called.
//
// Purpose: who wrote an Event or holds a Lease. Thread-safety: any thread. Errors: "" where the
// system gives none. Source: gethostname(2); HOST_NAME_MAX is 64 on Linux.
#pragma once

#include <string>

namespace tidemark {

std::string host_name();

}  // namespace tidemark
