#include "known_library.h"

#include <array>

#include "base/text.h"

namespace corewise {
namespace {

struct LibraryFile {
  const char* beginning;  // of its name
  const char* folder;     // in which it must lie, where the name alone says little; "" if any
  const char* library;
};

constexpr std::array<LibraryFile, 17> kFiles = {{
    {"_polars_runtime", "", "polars"},
    {"polars.abi3", "", "polars"},
    {"tokenizers.", "/tokenizers/", "tokenizers"},
    {"onnxruntime_pybind11_state", "", "onnxruntime"},
    {"libonnxruntime", "", "onnxruntime"},
    {"_duckdb.", "", "duckdb"},
    {"duckdb.", "/duckdb/", "duckdb"},
    {"libduckdb", "", "duckdb"},
    {"cv2.", "", "opencv"},
    {"libopencv_core", "", "opencv"},
    {"libtensorflow", "", "tensorflow"},
    {"_pywrap_tensorflow", "", "tensorflow"},
    {"libjax_common", "", "jax"},
    {"xla_extension", "", "jax"},
    {"interpreter.", "/numexpr/", "numexpr"},
    {"libblosc", "", "blosc"},
    {"blosc2_ext", "", "blosc"},
}};

}  // namespace

const char* known_library(std::string_view path) {
  const std::string_view name = file_name(path);
  for (const LibraryFile& file : kFiles) {
    if (name.starts_with(file.beginning) && path.find(file.folder) != path.npos) {
      return file.library;
    }
  }
  return nullptr;
}

}  // namespace corewise
