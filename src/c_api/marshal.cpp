#include "marshal.h"

#include <pthread.h>

#include <cstdlib>

namespace corewise::c_api {
namespace {

// Each thread's sentence about its last failure. On the heap: most threads never fail, and static
// thread-local memory that one library takes is missing to those loaded later ("cannot allocate
// memory in static TLS block").
class LastError {
 public:
  LastError() : usable_(::pthread_key_create(&key_, release) == 0) {}

  const char* text() const {
    const auto* text = usable_ ? static_cast<const char*>(::pthread_getspecific(key_)) : nullptr;
    return text != nullptr ? text : "";
  }
  void clear() { set_short(""); }
  // Cuts long sentences. If out of memory, leaves the general sentence that says so.
  void set(const char* what, std::size_t length) {
    auto* text = usable_ ? static_cast<char*>(::pthread_getspecific(key_)) : nullptr;
    if (!usable_ || is_fixed(text)) text = usable_ ? own() : nullptr;
    if (text == nullptr) return set_short(kNoMemory);
    const std::size_t n = std::min(length, kSize - 1);
    std::memcpy(text, what, n);
    text[n] = '\0';
  }

 private:
  static constexpr std::size_t kSize = 1024;
  static constexpr const char* kNoMemory = "there is no memory for the sentence about it";

  static bool is_fixed(const char* text) { return text == nullptr || text == kNoMemory; }
  static void release(void* text) {
    if (!is_fixed(static_cast<const char*>(text))) std::free(text);
  }
  char* own() {
    auto* made = static_cast<char*>(std::calloc(1, kSize));
    if (made != nullptr && ::pthread_setspecific(key_, made) != 0) {
      std::free(made);
      return nullptr;
    }
    return made;
  }
  // `text` is a constant.
  void set_short(const char* text) {
    if (!usable_) return;
    auto* mine = static_cast<char*>(::pthread_getspecific(key_));
    if (!is_fixed(mine)) {
      mine[0] = '\0';
    } else if (mine != nullptr || *text != '\0') {
      static_cast<void>(::pthread_setspecific(key_, *text != '\0' ? text : nullptr));
    }
  }

  pthread_key_t key_{};
  bool usable_;
};

// Never destroyed: other threads may fail while the process exits.
LastError& error_of_thread() {
  static auto* const made = new LastError;
  return *made;
}

}  // namespace

const char* last_error() { return error_of_thread().text(); }

void clear_last_error() { error_of_thread().clear(); }

cw_status fail(cw_status status, const std::string& what) {
  error_of_thread().set(what.data(), what.size());
  return status;
}

cw_status fail(const Error& error) { return fail(error.status, error.what); }

cw_status fail_plain(cw_status status) {
  error_of_thread().set(status_message(status), std::strlen(status_message(status)));
  return status;
}

std::size_t copy_out(const std::string& text, char* buffer, std::size_t capacity) {
  if (buffer != nullptr && capacity != 0) {
    const std::size_t n = std::min(capacity - 1, text.size());
    std::memcpy(buffer, text.data(), n);
    buffer[n] = '\0';
  }
  return text.size() + 1;
}

}  // namespace corewise::c_api
