// LLVM's OpenMP runtime. It also has libgomp's interface and may have libgomp's name.
#include "openmp_icv.h"

namespace corewise {
namespace {

constexpr const char* kPrefixes[] = {"libomp"};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  return openmp::prove(symbols, proof) && openmp::is_llvm(symbols);
}

}  // namespace

const Runtime kLibomp = {
    .name = "libomp",
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
