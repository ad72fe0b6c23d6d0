// The version of an installed Python package, if its installer recorded the file in question.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace corewise::govern {

// The VERSION of NAME-VERSION.dist-info in `folder`, if its RECORD lists `file`, a path below the
// folder, with the file's size. Nothing if there is no such record, if another one of the package
// disagrees, as after an installation over another, or if direct_url.json says that the package was
// built from a folder or a repository (PEP 610): its sources may have been changed. An .egg-info,
// as in Debian's packages, records no sizes and proves nothing. Reads files of some 100 kB; not for
// hooks.
std::optional<std::string> installed_version(const std::string& folder, std::string_view name,
                                             const std::string& file);

}  // namespace corewise::govern
