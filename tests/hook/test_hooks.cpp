// openblas_buffers as a shared library for Python's ctypes. For tests; the product's ABI has none
// of it.
#include <string>

#include "govern/openblas_buffers/buffers.h"
#include "govern/openblas_buffers/openblas_buffers.h"

namespace openblas_buffers = corewise::govern::openblas_buffers;

namespace {

// One line a copy: path, whether it is served, and why not.
const char* listed(const std::vector<openblas_buffers::CopyReport>& copies) {
  static std::string text;
  text.clear();
  for (const openblas_buffers::CopyReport& copy : copies) {
    text += copy.path + "\t" + (copy.served ? "served" : "not served") + "\t" + copy.reason + "\n";
  }
  return text.c_str();
}

}  // namespace

extern "C" {
__attribute__((visibility("default"))) const char* cwt_install() {
  return listed(openblas_buffers::install());
}
__attribute__((visibility("default"))) const char* cwt_remove() {
  return listed(openblas_buffers::remove());
}
__attribute__((visibility("default"))) long cwt_buffers() {
  return static_cast<long>(corewise::govern::buffers::usage(nullptr).buffers);
}
}
