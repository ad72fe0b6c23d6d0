// Why there are too many threads, as a product.
#pragma once

#include <cstddef>
#include <string>

namespace corewise::cli {

struct Product {
  std::size_t processes = 0;
  int each = 0;  // threads of the pool in one of them
  std::string runtime;
  std::string api;

  int threads() const { return static_cast<int>(processes) * each; }
};

// Whether the product explains so many ready threads. Python threads that call a library multiply
// it again: then it is not the whole cause.
bool explains(const Product& product, double ready, double budget);

// "4 processes × 2 OpenBLAS threads = 8 threads for 2 CPUs." `unicode`: the output can show '×'.
std::string in_words(const Product& product, double budget, bool unicode);

}  // namespace corewise::cli
