// Intel's build of LLVM's OpenMP runtime. The two export the same control functions. Only Intel's
// is always built with statistics and debugger support, which shows even in a copy that lost its
// DT_SONAME. LLVM's may be built so (Debian's since 19), and then its DT_SONAME names LLVM's.
#include "openmp_icv.h"

namespace corewise {
namespace {

constexpr const char* kPrefixes[] = {"libiomp"};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  return openmp::prove(symbols, proof) && openmp::is_llvm(symbols) &&
         ((symbols.address("__kmp_reset_stats") != 0 && !symbols.soname().starts_with("libomp")) ||
          symbols.soname().starts_with("libiomp") || symbols.file_name().starts_with("libiomp"));
}

}  // namespace

const Runtime kLibiomp = {
    .name = "libiomp",
    .api = CW_API_OPENMP,
    .prefixes = kPrefixes,
    .environment = openmp::kEnvironment,
    .prove = prove,
    .describe = openmp::describe_llvm,
    .locks = true,
    .gate = GateKind::kLlvm,
    .used = use_by_word,
    .ask = openmp::ask,
    .get = openmp::get,
    .set = openmp::set,
    .read_outside = openmp::read_outside,
};

}  // namespace corewise
