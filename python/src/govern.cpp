// Governing. It hooks and asks foreign libraries and takes the core's locks, so it runs without the
// GIL.
#include <new>
#include <string>

#include "binding.h"

namespace corewise::python {
namespace {

template <class Call>
void checked(Call call) {
  error why;
  {
    const nb::gil_scoped_release released;
    if (const cw_status status = call(); status != CW_OK) why = error(status);
  }
  if (why) raise(why);
}

void govern(int budget, const nb::bytes& group) {
  const cw_govern_options options{sizeof options, budget, 0, group.c_str()};
  checked([&] { return cw_govern(&options); });
}

void ungovern() { checked(cw_ungovern); }

nb::object report() {
  std::string json;
  {
    const nb::gil_scoped_release released;
    std::size_t needed = cw_govern_report_json(nullptr, 0);
    // The report may grow between the two calls.
    while (needed > json.size()) {
      json.resize(needed);
      needed = cw_govern_report_json(json.data(), json.size());
    }
    if (needed == 0) throw std::bad_alloc();
    json.resize(needed - 1);
  }
  return text(json);
}

}  // namespace

void bind_govern(nb::module_& m) {
  m.def("govern", govern, nb::arg("budget"), nb::arg("group"));
  m.def("ungovern", ungovern);
  m.def("govern_report", report);
}

}  // namespace corewise::python
