// A folder that stands in for /dev/shm, and a way to try things in a child.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "govern/ledger/ledger.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COREWISE_TEST_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define COREWISE_TEST_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define COREWISE_TEST_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define COREWISE_TEST_ASAN 1
#endif

namespace corewise::test {

class LedgerFolder {
 public:
  LedgerFolder() {
    std::string name = "/dev/shm/corewise-test-XXXXXX";
    path_ = mkdtemp(name.data()) ? name : "/nonexistent";
  }
  LedgerFolder(const LedgerFolder&) = delete;
  LedgerFolder& operator=(const LedgerFolder&) = delete;
  ~LedgerFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

  // Tokens alone: tests of the recent callers ask for those.
  govern::LedgerOptions options(int budget, const std::string& key = "test") const {
    govern::LedgerOptions made;
    made.key = key;
    made.budget = budget;
    made.recent.enabled = false;
    made.directory = path_;
    return made;
  }

  std::unique_ptr<govern::Ledger> open(int budget, const std::string& key = "test") const {
    return std::move(*govern::Ledger::open(options(budget, key)));
  }

  static int tokens(const govern::Ledger& ledger) {
    const auto entries = ledger.snapshot().entries;
    return std::accumulate(entries.begin(), entries.end(), 0,
                           [](int sum, const auto& entry) { return sum + entry.tokens; });
  }

 private:
  std::string path_;
};

// Runs try_it in a child; its exit status, or 1000 + the signal that ended it.
template <class Try>
int in_child(Try try_it) {
  const pid_t pid = fork();
  if (pid == 0) _exit(try_it());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace corewise::test
