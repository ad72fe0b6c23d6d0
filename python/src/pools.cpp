// Pools: snapshots of all of them as tuples, and handles whose count is read when asked.
//
// Whatever may walk the loader's list or call into a library runs without the GIL: a thread in
// dlopen holds the loader's lock and may wait for the GIL (CPython issue 157573).
#include <array>
#include <string>
#include <vector>

#include "binding.h"

namespace corewise::python {
namespace {

constexpr std::array<const char*, 3> kScopes = {"process", "thread", "none"};

const char* scope_name(cw_scope scope) { return kScopes[static_cast<std::size_t>(scope)]; }

std::vector<pool> look() {
  const nb::gil_scoped_release released;
  return pools();
}

// In the order of corewise._info.PoolInfo.
nb::tuple record(const pool& p) {
  return nb::make_tuple(p.id, text(p.api_name), text(p.runtime), count_or_none(p.threads),
                        scope_name(p.scope), count_or_none(p.ceiling),
                        count_or_none(p.caller_slots), text(p.prefix), text(p.path),
                        text_or_none(p.version), text_or_none(p.layer),
                        text_or_none(p.architecture), text_or_none(p.detail));
}

int threads_now(const pool& p) {
  cw_pool raw;
  raw.size = sizeof raw;
  cw_status status;
  {
    const nb::gil_scoped_release released;
    status = cw_pool_get(p.id, &raw);
  }
  if (status != CW_OK) raise(error(status));
  return raw.threads;
}

int collect_path(const char* path, std::uintptr_t, void* paths) {
  static_cast<std::vector<std::string>*>(paths)->emplace_back(path);
  return 0;
}

nb::list module_paths() {
  std::vector<std::string> paths;
  cw_status status;
  {
    const nb::gil_scoped_release released;
    status = cw_modules(collect_path, &paths);
  }
  if (status != CW_OK) raise(error(status));
  nb::list out;
  for (const std::string& path : paths) out.append(text(path));
  return out;
}

bool refresh() {
  int changed = 0;
  cw_status status;
  {
    const nb::gil_scoped_release released;
    status = cw_refresh(&changed);
  }
  if (status != CW_OK) raise(error(status));
  return changed != 0;
}

std::size_t pool_count() {
  const nb::gil_scoped_release released;
  return cw_pool_count();
}

}  // namespace

void bind_pools(nb::module_& m) {
  nb::class_<pool>(m, "Pool")
      .def_prop_ro("id", [](const pool& p) { return p.id; })
      .def_prop_ro("api", [](const pool& p) { return text(p.api_name); })
      .def_prop_ro("runtime", [](const pool& p) { return text(p.runtime); })
      .def_prop_ro("threads", [](const pool& p) { return count_or_none(threads_now(p)); })
      .def_prop_ro("scope", [](const pool& p) { return scope_name(p.scope); })
      .def_prop_ro("ceiling", [](const pool& p) { return count_or_none(p.ceiling); })
      .def_prop_ro("caller_slots", [](const pool& p) { return count_or_none(p.caller_slots); })
      .def_prop_ro("prefix", [](const pool& p) { return text(p.prefix); })
      .def_prop_ro("path", [](const pool& p) { return text(p.path); })
      .def_prop_ro("version", [](const pool& p) { return text_or_none(p.version); })
      .def_prop_ro("layer", [](const pool& p) { return text_or_none(p.layer); })
      .def_prop_ro("architecture", [](const pool& p) { return text_or_none(p.architecture); })
      .def_prop_ro("detail", [](const pool& p) { return text_or_none(p.detail); })
      .def(
          "__eq__", [](const pool& p, const pool& q) { return p.id == q.id; }, nb::is_operator())
      .def("__hash__", [](const pool& p) { return p.id; })
      .def("__repr__", [](const pool& p) {
        return nb::str("<corewise.Pool {}: {}, {} threads, {}>")
            .format(p.id, text(p.runtime), threads_now(p), text(p.path));
      });

  m.def("pools", [] {
    nb::list out;
    for (const pool& p : look()) out.append(nb::cast(p));
    return out;
  });
  m.def("records", [] {
    nb::list out;
    for (const pool& p : look()) out.append(record(p));
    return out;
  });
  m.def("pool_count", &pool_count);
  m.def("refresh", &refresh);
  m.def("generation", [] {
    const nb::gil_scoped_release released;
    return cw_generation();
  });
  m.def("module_paths", &module_paths);
  m.def("version", &cw_version);
}

}  // namespace corewise::python
