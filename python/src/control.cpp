// The control socket and samples. They read /proc, ask foreign libraries and take the core's locks,
// so all of it runs without the GIL.
#include "binding.h"

namespace corewise::python {
namespace {

void start() {
  error why;
  {
    const nb::gil_scoped_release released;
    why = control_start();
  }
  if (why) raise(why);
}

void stop() {
  const nb::gil_scoped_release released;
  control_stop();
}

int connect(int pid) {
  int fd = -1;
  error why;
  {
    const nb::gil_scoped_release released;
    if (const cw_status status = cw_control_connect(pid, &fd); status != CW_OK) why = error(status);
  }
  if (why) raise(why);
  return fd;
}

}  // namespace

void bind_control(nb::module_& m) {
  m.def("control_start", start);
  m.def("control_stop", stop);
  m.def("control_path", [] { return text(control_path()); });
  m.def("control_connect", connect, nb::arg("pid"));
}

}  // namespace corewise::python
