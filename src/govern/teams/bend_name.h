// Which libraries a name in COREWISE_BEND or corewise.toml stands for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace corewise::govern {

// A name with a '/' means every library whose path contains it. Any other name means a file or an
// installed package, never a folder of the user's that happens to have the same name:
//  - the file's name, whole or up to one of its dots, so that libmine and libmine.so both mean
//    libmine.so.1; also without the hash that auditwheel adds (libmine-1a2b3c4d.so);
//  - the folder directly under site-packages or dist-packages that the file lies in.
bool names_library(std::string_view name, std::string_view path);

// The names in a colon-separated variable such as COREWISE_BEND.
std::vector<std::string> names_between_colons(std::string_view variable);

}  // namespace corewise::govern
