#include "bend_name.h"

#include <algorithm>

#include "base/text.h"

namespace corewise::govern {
namespace {

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// libmine-1a2b3c4d.so.1 becomes libmine.so.1: auditwheel puts the hash before the first dot.
std::string without_hash(std::string_view file) {
  constexpr std::size_t kHash = 8;
  const std::string_view stem = file.substr(0, file.find('.'));
  const std::size_t dash = stem.rfind('-');
  if (dash == stem.npos || stem.size() - dash != kHash + 1) return std::string(file);
  if (!std::ranges::all_of(stem.substr(dash + 1), is_hex)) return std::string(file);
  return std::string(stem.substr(0, dash)) + std::string(file.substr(stem.size()));
}

bool is_up_to_a_dot(std::string_view name, std::string_view file) {
  return file.starts_with(name) && (file.size() == name.size() || file[name.size()] == '.');
}

}  // namespace

bool names_library(std::string_view name, std::string_view path) {
  if (name.empty()) return false;
  if (name.find('/') != name.npos) return path.find(name) != path.npos;
  const std::string_view file = file_name(path);
  return is_up_to_a_dot(name, file) || is_up_to_a_dot(name, without_hash(file)) ||
         name == package_folder(path);
}

std::vector<std::string> names_between_colons(std::string_view variable) {
  std::vector<std::string> names;
  while (!variable.empty()) {
    const std::string_view name = cut(variable, ':');
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

}  // namespace corewise::govern
