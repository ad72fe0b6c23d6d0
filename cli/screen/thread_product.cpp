#include "thread_product.h"

#include <fmt/format.h>

#include "base/text.h"

namespace corewise::cli {
namespace {

std::string library_words(const Product& product) {
  if (product.runtime == "openblas") return "OpenBLAS";
  if (product.runtime == "mkl") return "MKL";
  if (product.api == "openmp") return "OpenMP";
  if (product.api == "tbb") return "oneTBB";
  return product.runtime;
}

}  // namespace

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : noun.ends_with('s') ? "es" : "s");
}

std::string in_words(const Product& product, double budget, bool unicode) {
  const std::string threads =
      counted(static_cast<std::size_t>(product.each), library_words(product) + " thread");
  return fmt::format(
      "{} {} {} = {} for {}.", counted(product.processes, "process"), unicode ? "×" : "x", threads,
      counted(static_cast<std::size_t>(product.threads()), "thread"), cpus_in_words(budget));
}

}  // namespace corewise::cli
