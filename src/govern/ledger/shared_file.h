// A small file that the processes of one user map and write: how it is made whole, and what is
// refused in its place. All of these files lie where others may put theirs.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "os/descriptor.h"

namespace corewise::govern {

// What a file of a kind looks like.
struct FileShape {
  std::size_t size;
  mode_t mode;
  const char* wrong_mode;  // what to say of another mode
};

class SharedFile {
 public:
  SharedFile() = default;  // no file
  // Follows no link, and blocks nowhere.
  SharedFile(const std::string& path, int flags);
  int fd() const { return file_.number(); }

  // Why this is not a file of ours; empty if it is one.
  std::string objection(const FileShape& shape) const;

  // Without a file: memory that only forks share. Null on failure.
  void* map(std::size_t size, int protection) const;

 private:
  os::Descriptor file_;
};

// Why a file could not be opened.
std::string why_not_opened(int error);

std::uint64_t fnv(std::string_view bytes) noexcept;
std::string hex(std::uint64_t value);

// Completes the file under a name of its own, then gives it the real one, unless another process
// did first. Returns 0, or the system's error. `made` holds a shared lock (flock) on the file, so
// nobody can remove it meanwhile.
int make_shared_file(const std::string& path, const FileShape& shape,
                     const std::function<void(void*)>& fill, std::unique_ptr<SharedFile>& made);

}  // namespace corewise::govern
