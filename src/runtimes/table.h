// Declares each runtime's row; a new runtime adds its line here and in table.cpp.
#pragma once

#include "../pool.h"

namespace corewise {

extern const Runtime kFlexiblas, kOpenblas, kBlis, kMkl, kLibiomp, kLibomp, kLibgomp, kTbb, kArrow,
    kNumba;

}  // namespace corewise
