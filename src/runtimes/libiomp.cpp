// Intel's build of LLVM's OpenMP runtime. The two export the same control functions; only Intel's
// is built with statistics and debugger support, which a copy keeps that lost even its DT_SONAME.
#include "openmp_icv.h"

namespace corewise {
namespace {

constexpr const char* kPrefixes[] = {"libiomp"};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  return openmp::prove(symbols, proof) && openmp::is_llvm(symbols) &&
         (symbols.address("__kmp_reset_stats") != 0 || symbols.soname().starts_with("libiomp") ||
          symbols.file_name().starts_with("libiomp"));
}

}  // namespace

const Runtime kLibiomp = {
    .name = "libiomp",
    .api = CW_API_OPENMP,
    .prefixes = kPrefixes,
    .environment = openmp::kEnvironment,
    .prove = prove,
    .describe = openmp::describe,
    .get = openmp::get,
    .set = openmp::set,
    .hold = nullptr,
    .release = nullptr,
    .look = openmp::look,
};

}  // namespace corewise
