// Budget, plan, doctor and samples: documents that the core writes. They read files and call into
// libraries, so all of it runs without the GIL.
#include <optional>
#include <string>

#include "binding.h"

namespace corewise::python {
namespace {

template <class Make>
nb::str text_of(Make&& make) {
  document made;
  {
    const nb::gil_scoped_release released;
    made = make();
  }
  if (!made) raise(made.error);
  return nb::str(made.json.data(), made.json.size());
}

}  // namespace

void bind_reports(nb::module_& m) {
  m.def(
      "budget_json",
      [](const nb::object& cap) {
        std::optional<double> own;
        if (!cap.is_none()) own = nb::cast<double>(cap);
        return text_of([&] { return budget_json(own); });
      },
      nb::arg("cap").none());
  m.def(
      "plan_json",
      [](int processes, int openmp, int blas) {
        return text_of([&] { return plan_json({processes, openmp, blas}); });
      },
      nb::arg("processes"), nb::arg("openmp"), nb::arg("blas"));
  m.def("doctor_json", [] { return text_of(doctor_json); });
  m.def("last_death_json", [] { return text_of(last_death_json); });
  m.def("watch_death", [] {
    error why;
    {
      const nb::gil_scoped_release released;
      why = watch_death();
    }
    if (why) raise(why);
  });
  m.def(
      "sample_json", [](bool each) { return text_of([&] { return sample_json(each); }); },
      nb::arg("each"));
}

}  // namespace corewise::python
