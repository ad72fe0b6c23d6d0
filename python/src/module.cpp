#include "binding.h"

namespace corewise::python {

void raise(const error& why) {
  const nb::object kinds = nb::module_::import_("corewise._errors").attr("BY_STATUS");
  const nb::object kind =
      kinds.attr("get")(static_cast<int>(why.status()), kinds[nb::int_(static_cast<int>(CW_OK))]);
  PyErr_SetObject(kind.ptr(), text(why.message()).ptr());
  throw nb::python_error();
}

nb::object text(std::string_view bytes) {
  return nb::steal(
      PyUnicode_DecodeFSDefaultAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

nb::object text_or_none(std::string_view bytes) { return bytes.empty() ? nb::none() : text(bytes); }

nb::object count_or_none(int count) {
  if (count <= 0) return nb::none();
  return nb::int_(count);
}

}  // namespace corewise::python

NB_MODULE(_core, m) {
  using namespace corewise::python;  // NOLINT(google-build-using-namespace): the module's own
  // Receipts and handles may outlive the interpreter in globals; that is no leak worth a message.
  nanobind::set_leak_warnings(false);
  bind_pools(m);
  bind_limits(m);
  bind_dropin(m);
  bind_reports(m);
  bind_govern(m);
  bind_control(m);
}
