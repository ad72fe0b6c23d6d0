// THE list of runtimes, in order of precedence: FlexiBLAS exports the names of the libraries it
// stands in for, and LLVM's OpenMP exports libgomp's, so each comes before what it resembles.
#include "table.h"

namespace corewise {

std::span<const Runtime* const> runtimes() {
  static constexpr const Runtime* kTable[] = {
      &kFlexiblas, &kOpenblas, &kBlis, &kMkl,   &kLibiomp,
      &kLibomp,    &kLibgomp,  &kTbb,  &kArrow, &kNumba,
  };
  return kTable;
}

}  // namespace corewise
