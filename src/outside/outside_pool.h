// A pool of another process.
#pragma once

#include "pools/pool.h"

namespace corewise::outside {

struct OutsidePool {
  Pool pool;
  OutsideCount count;
};

}  // namespace corewise::outside
