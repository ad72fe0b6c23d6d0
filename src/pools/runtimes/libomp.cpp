// LLVM's OpenMP runtime. It also has libgomp's interface and may have libgomp's name.
#include "openmp_icv.h"

namespace corewise {
namespace {

constexpr const char* kPrefixes[] = {"libomp"};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  return openmp::prove(symbols, proof) && openmp::is_llvm(symbols);
}

}  // namespace

constinit const Runtime kLibomp = openmp::llvm_row("libomp", kPrefixes, prove);

}  // namespace corewise
