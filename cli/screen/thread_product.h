// Why there are too many threads, as a product.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace corewise::cli {

// "1 process", "4 OpenBLAS threads"
std::string counted(std::size_t count, std::string_view noun);

struct Product {
  std::size_t processes = 0;
  int each = 0;  // threads of the pool in one of them
  std::string runtime;
  std::string api;

  int threads() const { return static_cast<int>(processes) * each; }
};

// "4 processes × 2 OpenBLAS threads = 8 threads for 2 CPUs." `unicode`: there is a multiplication
// sign.
std::string in_words(const Product& product, double budget, bool unicode);

}  // namespace corewise::cli
