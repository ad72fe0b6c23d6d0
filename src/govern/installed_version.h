// The version of an installed Python package, as pip, conda and Debian note it beside the package.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace corewise::govern {

// The VERSION of NAME-VERSION.dist-info or NAME-VERSION[-pyX.Y].egg-info in `folder`. Nothing if
// there is none, or if two of them disagree, as after an installation over another.
std::optional<std::string> installed_version(const std::string& folder, std::string_view name);

}  // namespace corewise::govern
