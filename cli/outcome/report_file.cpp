#include "report_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "os/os.h"
#include "shell/output.h"

namespace corewise::cli {
namespace {

constexpr const char* kCounts = ".counts";

std::string text_of(const std::string& path) {
  auto text = os::read_file(path);
  return text ? *std::move(text) : std::string();
}

}  // namespace

Result<ReportFile> ReportFile::make() {
  const char* folder = ::getenv("TMPDIR");
  std::string path = fmt::format("{}/corewise-report-XXXXXX",
                                 folder != nullptr && *folder != '\0' ? folder : "/tmp");
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) {
    return Error{
        CW_IO_ERROR,
        fmt::format("cannot make a file for the report, {}: {}; set TMPDIR to a folder that "
                    "can be written",
                    printable(path, false), ::strerror(errno))};
  }
  // Whatever the umask: the program's processes write into both files.
  ::fchmod(fd, 0600);
  ::close(fd);
  // An absolute path, since programs change their working directory.
  path = os::real_path(path);
  // Without this file, killed processes are not counted.
  const int counts = ::open((path + kCounts).c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (counts >= 0) {
    ::fchmod(counts, 0600);
    ::close(counts);
  }
  return ReportFile(std::move(path));
}

ReportFile::ReportFile(ReportFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}

ReportFile::~ReportFile() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  ::unlink((path_ + kCounts).c_str());
}

Collected ReportFile::read() const {
  constexpr int kTurns = 50;
  constexpr useconds_t kTurn = 10'000;
  for (int turn = 0;; ++turn) {
    Collected collected{text_of(path_), text_of(path_ + kCounts)};
    const Report report = read_report(collected);
    const bool waits = std::ranges::any_of(report.processes, [](const ReportedProcess& process) {
      return !process.ended && runs_still(process);
    });
    if (!waits || turn == kTurns) return collected;
    ::usleep(kTurn);
  }
}

}  // namespace corewise::cli
