// Two ways to make a program call us instead of a function, and one way back.
//
// GOT entries: the addresses through which modules call a function of another module (JUMP_SLOT and
// GLOB_DAT). Function entry: the function's own first instructions, for calls that stay inside a
// module. Both come down to one word of memory: installing replaces its old value by ours, removing
// puts the old value back. A word that holds neither is left alone and reported. Each exchange is
// one atomic store, so that other threads may run through it.
//
// The code that we jump to is never freed: a thread may have been stopped in it. Hooking the same
// function again finds it again, so nothing piles up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exchange.h"
#include "os/os.h"

namespace corewise::govern {

struct EntryRequest {
  std::string name;  // for messages: "blas_memory_alloc of /path/libopenblas.so"
  std::uintptr_t address = 0;
  std::size_t size = 0;  // of the function's code
  int arguments = 0;     // all of them integers or pointers
  const void* replacement = nullptr;
  // Passed to the replacement as an extra argument.
  const void* context = nullptr;
};

// A function whose entry can be replaced.
class EntryHook {
 public:
  // Inspects the function and builds code; changes nothing.
  static Result<EntryHook> prepare(const EntryRequest& request);

  std::optional<Error> install() { return swap(Way::install); }
  std::optional<Error> remove() { return swap(Way::remove); }

  // Does what the function did, installed or not.
  template <class Function>
  Function* original() const {
    return reinterpret_cast<Function*>(original_);
  }
  const Patch& patch() const { return patch_; }

 private:
  std::optional<Error> swap(Way way);

  std::string name_;
  Patch patch_;
  std::uintptr_t original_ = 0;
};

// What a GOT entry called before; the replacement gets a pointer to it as an extra argument.
struct Origin {
  const char* symbol = nullptr;
  void* function = nullptr;
};

struct GotRequest {
  const char* symbol = nullptr;
  const void* replacement = nullptr;
  // How many integer arguments the function takes. -1: variadic or unknown, so that the
  // replacement gets no Origin and has to know by itself what to call.
  int arguments = -1;
  // Only GOT entries that call this function; null: whatever another module's function the GOT
  // entry calls.
  const void* only = nullptr;
};

template <class Function>
GotRequest got_request(const char* symbol, Function* replacement, int arguments = -1,
                       const void* only = nullptr) {
  return {symbol, reinterpret_cast<const void*>(replacement), arguments, only};
}

// Asks for the entries that call the C library's own function of that name, if it has one. A module
// may have one of its own, or call that of a preloaded library: those are left alone. `own` becomes
// the C library's function, which the replacement must call: the name may mean another here.
template <class Function, class Own = Function>
void request_c_library(std::vector<GotRequest>& all, const char* symbol, Function* replacement,
                       Own** own = nullptr) {
  void* const function = os::c_library_function(symbol);
  if (function == nullptr) return;
  if (own != nullptr) *own = reinterpret_cast<Own*>(function);
  all.push_back(got_request(symbol, replacement, -1, function));
}

// The GOT entries of every module that refer to some symbols. Not copyable: it remembers what to
// undo.
class GotEntries {
 public:
  explicit GotEntries(std::vector<GotRequest> requests) : requests_(std::move(requests)) {}
  GotEntries(const GotEntries&) = delete;
  GotEntries& operator=(const GotEntries&) = delete;

  // Rewrites the GOT entries that are not rewritten yet; call it again whenever os::generation()
  // has changed. Never touches the module that holds the replacement. Returns a sentence for each
  // GOT entry that was left alone, as restore() does.
  std::vector<std::string> rewrite();
  std::vector<std::string> restore();
  // Whether no GOT entry has been left alone so far.
  bool is_complete() const { return complete_; }
  std::size_t size() const { return entries_.size(); }  // for tests: how many are rewritten
  // Paths, as the loader has them, of the modules that call such a symbol through a rewritten GOT
  // entry (the program itself has none).
  std::vector<std::string> modules(bool (*calls)(std::string_view symbol)) const;

 private:
  struct GotEntry {
    std::string path;
    std::uintptr_t base = 0;
    const char* symbol = nullptr;
    Patch patch;
  };
  std::vector<std::string> rewrite_new();

  std::vector<GotRequest> requests_;
  std::vector<GotEntry> entries_;
  bool complete_ = true;
  os::KnownModules seen_;  // modules already searched
};

}  // namespace corewise::govern
