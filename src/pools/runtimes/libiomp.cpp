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

constinit const Runtime kLibiomp = openmp::llvm_row("libiomp", kPrefixes, prove);

}  // namespace corewise
