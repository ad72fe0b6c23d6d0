// The C ABI over governing, samples and the control socket.
#include <string>

#include "control/server.h"
#include "control/sockets.h"
#include "corewise.h"
#include "govern/govern.h"
#include "govern/other_copy.h"
#include "marshal.h"
#include "observe/sample.h"
#include "os/confined.h"

using namespace corewise;         // NOLINT(google-build-using-namespace): this file is its C face
using namespace corewise::c_api;  // NOLINT(google-build-using-namespace)

extern "C" {

cw_status cw_govern(const cw_govern_options* options) {
  return guarded([&] {
    const auto taken = take_options(options, "cw_govern_options", CW_GOVERN_OVERCOMMIT);
    if (!taken) return fail(taken.error());
    govern::GovernOptions own;
    own.overcommit = (taken->flags & CW_GOVERN_OVERCOMMIT) != 0;
    own.budget = taken->budget;
    if (taken->group != nullptr) own.key = taken->group;
    auto error = govern::another_copy_governs();
    if (!error) error = govern::govern(own);
    return error ? fail(*error) : CW_OK;
  });
}

cw_status cw_ungovern(void) {
  return guarded([] {
    govern::ungovern();
    return CW_OK;
  });
}

size_t cw_govern_report_json(char* buffer, size_t capacity) {
  return hand_out_text(buffer, capacity, govern::report_json);
}

cw_status cw_sample_json(uint32_t flags, char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, [&]() -> Result<std::string> {
    if ((flags & ~static_cast<uint32_t>(CW_SAMPLE_EACH)) != 0) {
      return Error{CW_BAD_ARGUMENT, "flags holds a flag that this version does not know"};
    }
    return observe::to_json(observe::take_sample((flags & CW_SAMPLE_EACH) != 0));
  });
}

cw_status cw_control_start(void) {
  return guarded([] {
    os::keep_watching();
    const auto error = control::start();
    return error ? fail(*error) : CW_OK;
  });
}

cw_status cw_control_stop(void) {
  return guarded([] {
    control::stop();
    return CW_OK;
  });
}

size_t cw_control_path(char* buffer, size_t capacity) {
  return hand_out_text(buffer, capacity, control::path);
}

cw_status cw_control_connect(int32_t pid, int* fd) {
  return guarded([&] {
    if (fd == nullptr) return fail(CW_BAD_ARGUMENT, "fd is a null pointer");
    const auto connected = control::connect_to(pid);
    if (!connected) return fail(connected.error());
    *fd = *connected;
    return CW_OK;
  });
}

}  // extern "C"
