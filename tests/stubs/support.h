// What the stub tests share: loading copies of the stub libraries, and finding their pools.
#pragma once

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <corewise.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace stubs {

inline const std::filesystem::path kFolder = COREWISE_STUBS;

// A folder of this process's own, removed at its end.
struct Scratch {
  std::filesystem::path path;
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "corewise-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(path); }
};

class Library {
 public:
  explicit Library(const std::filesystem::path& path, int flags = RTLD_NOW | RTLD_LOCAL)
      : handle_(dlopen(path.c_str(), flags)) {
    INFO(std::string(handle_ == nullptr ? dlerror() : ""));
    REQUIRE(handle_ != nullptr);
  }
  template <class Function>
  Function* symbol(const char* name) const {
    auto* found = reinterpret_cast<Function*>(dlsym(handle_, name));
    const bool exported = found != nullptr;
    REQUIRE(exported);
    return found;
  }
  void close() const { dlclose(handle_); }

 private:
  void* handle_;
};

inline Library load(const char* name) { return Library(kFolder / (std::string(name) + ".so")); }

inline Library load_copy(const char* name, const std::filesystem::path& as) {
  std::filesystem::copy_file(kFolder / (std::string(name) + ".so"), as);
  return Library(as);
}

inline std::vector<corewise::pool> pools_of(std::string_view runtime) {
  std::vector<corewise::pool> found;
  for (const corewise::pool& pool : corewise::pools()) {
    if (pool.runtime == runtime) found.push_back(pool);
  }
  return found;
}

inline corewise::pool only(std::string_view runtime) {
  const auto found = pools_of(runtime);
  REQUIRE(found.size() == 1);
  return found.front();
}

}  // namespace stubs
