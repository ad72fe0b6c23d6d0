// The files of `corewise run --report`, to which the governed processes write.
#pragma once

#include <string>

#include "base/error.h"
#include "report_reading.h"

namespace corewise::cli {

// Owns the files that processes write to, and removes them.
class ReportFile {
 public:
  static Result<ReportFile> make();
  ReportFile(ReportFile&& other) noexcept;
  ReportFile& operator=(ReportFile&&) = delete;
  ~ReportFile();

  const std::string& path() const { return path_; }
  // Helpers of the program end only after the program, so read() waits up to half a second for
  // them.
  Collected read() const;

 private:
  explicit ReportFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace corewise::cli
