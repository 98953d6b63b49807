// Runs a program and writes what it cost to a file: measured FILE PROGRAM [ARGUMENT...]
//
// One JSON object: wall and cpu in seconds, rss (the peak) in KiB. The exit code is the program's.
// A small process of its own, because the kernel counts the memory of who starts a program into
// that program's peak.

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: measured FILE PROGRAM [ARGUMENT...]\n";
    return 2;
  }
  const auto begin = std::chrono::steady_clock::now();
  pid_t pid = 0;
  if (posix_spawnp(&pid, argv[2], nullptr, nullptr, argv + 2, environ) != 0) {
    std::cerr << "cannot start " << argv[2] << "\n";
    return 127;
  }
  int status = 0;
  rusage usage{};
  if (wait4(pid, &status, 0, &usage) != pid) return 127;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  std::ofstream(argv[1]) << "{\"wall\": " << wall.count()
                         << ", \"cpu\": " << seconds(usage.ru_utime) + seconds(usage.ru_stime)
                         << ", \"rss\": " << usage.ru_maxrss << "}\n";
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
