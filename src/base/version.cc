#include "base/version.h"

namespace tidemark {

std::string version_line(const std::string& program) {
  return program + " " + std::string(build_version()) + " (" + std::string(build_commit()) + ")";
}

std::string user_agent(const std::string& program) {
  return program + "/" + std::string(build_version());
}

void export_build_info(Metrics& metrics, const std::string& program) {
  metrics.gauge("tidemark_build_info", "Always 1.")
      .with({{"program", program},
             {"version", std::string(build_version())},
             {"commit", std::string(build_commit())}})
      .set(1);
}

}  // namespace tidemark
