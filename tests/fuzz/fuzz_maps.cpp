// Any text as /proc/PID/maps: what comes out is ordered and holds no more than went in.
#include <cstdlib>
#include <string>

#include "os/os.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::size_t path_bytes = 0;
  for (const corewise::os::Mapping& mapping : corewise::os::parse_maps(text)) {
    if (mapping.begin >= mapping.end) std::abort();
    path_bytes += mapping.path.size();
  }
  if (path_bytes > size) std::abort();
  return 0;
}
