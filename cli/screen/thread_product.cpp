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

bool explains(const Product& product, double ready, double budget) {
  return product.threads() > budget && product.threads() >= 0.6 * ready;
}

std::string in_words(const Product& product, double budget, bool unicode) {
  return fmt::format("{} {} {} = {} for {}.", counted(product.processes, "process"),
                     unicode ? "×" : "x", counted(product.each, library_words(product) + " thread"),
                     counted(product.threads(), "thread"), cpus_in_words(budget));
}

}  // namespace corewise::cli
