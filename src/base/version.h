// Which build of Tidemark this is. Fixed at build time; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/metrics.h"

namespace tidemark {

// "0.1.0": the version of the top meson.build.
std::string_view build_version();

// "3f2a9c1d0b7e": the Git commit that was built, with "-dirty" where files had been changed since;
// "unknown" where the build could not tell.
std::string_view build_commit();

// "tidemark-webhook 0.1.0 (3f2a9c1d0b7e)", what --version answers.
std::string version_line(const std::string& program);

// "tidemark-webhook/0.1.0", how `program` introduces itself to servers.
std::string user_agent(const std::string& program);

// tidemark_build_info: which program this is, its version and its commit.
void export_build_info(Metrics& metrics, const std::string& program);

}  // namespace tidemark
