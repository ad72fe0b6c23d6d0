// Declares each runtime's row; a new runtime adds its line here and in table.cpp.
#pragma once

#include "pools/pool.h"

namespace corewise {

extern const Runtime kFlexiblas, kOpenblas, kBlis, kMkl, kLibiomp, kLibomp, kLibgomp, kTbb, kArrow,
    kNumba;

// What we see from outside of a runtime whose count is a private variable.
template <Scope scope>
OutsideCount private_count(Pool& pool, const ModuleView&) {
  pool.scope = scope;
  return {0, "its count is kept in a private variable"};
}

}  // namespace corewise
