// The extension module, one function for each of its parts. Everything the parts share is here.
#pragma once

#include <nanobind/nanobind.h>

#include <corewise.hpp>
#include <string_view>

namespace corewise::python {

namespace nb = nanobind;

// Raises the Python exception of the error's kind (corewise._errors) with its sentence.
[[noreturn]] void raise(const error& why);

// The system's bytes as Python's file functions decode them (surrogateescape).
nb::object text(std::string_view bytes);

// Empty and zero mean "not known" in the C++ interface; Python says None.
nb::object text_or_none(std::string_view bytes);
nb::object count_or_none(int count);

void bind_pools(nb::module_& m);
void bind_limits(nb::module_& m);
void bind_dropin(nb::module_& m);
void bind_reports(nb::module_& m);
void bind_govern(nb::module_& m);
void bind_control(nb::module_& m);

}  // namespace corewise::python
