// Any bytes as a module: as a file, and as memory laid out the way the file says.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "elf/elf_reader.h"

namespace {

using corewise::elf::File;
using corewise::elf::Symbols;

void ask(const Symbols& symbols) {
  (void)symbols.soname();
  for (const char* name : {"openblas_get_num_threads", "stub_count", "omp_get_max_threads", ""}) {
    (void)symbols.find(name);
  }
  for (const char* name : {"strncpy", "omp_get_max_threads"}) {
    (void)symbols.imported(name);
    if (const auto symbol = symbols.find(name)) (void)symbols.has_version(*symbol);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const int kFile = memfd_create("fuzz", 0);
  static const std::string kPath = "/proc/self/fd/" + std::to_string(kFile);
  if (ftruncate(kFile, 0) != 0 || pwrite(kFile, data, size, 0) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  const auto file = File::open(kPath);
  if (!file) return 0;
  (void)file->find_local("count");
  const auto symbols = file->symbols();
  if (symbols) ask(*symbols);

  // As if loaded here: every address that the tables name is off by the bias, and bounds are those
  // of one segment.
  corewise::os::LoadedModule module;
  module.base = reinterpret_cast<std::uintptr_t>(data);
  module.segments.push_back({module.base, module.base + size, true});
  const corewise::elf::LiveBytes bytes(module);
  for (std::size_t dynamic = 0; dynamic + 16 <= size && dynamic < 4096; dynamic += 64) {
    const auto live = Symbols::from_dynamic(bytes, module.base + dynamic, module.base);
    if (live) ask(*live);
  }
  return 0;
}
