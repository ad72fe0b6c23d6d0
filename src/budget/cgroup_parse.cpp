// The text formats of cgroup files. See cgroup.h.
#include <cstddef>

#include "base/text.h"
#include "cgroup.h"

namespace corewise {
namespace {

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// Undoes \040 and its like, which mountinfo writes for blanks and backslashes.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// The number of leading ".." parts of "/../../x".
std::size_t ups(std::string_view path) {
  std::size_t n = 0;
  while (path.starts_with("/..") && (path.size() == 3 || path[3] == '/')) {
    ++n;
    path.remove_prefix(3);
  }
  return n;
}

bool only_ups(std::string_view path) { return path.size() == 3 * ups(path); }

std::optional<Quota> quota(std::string_view quota_text, std::string_view period_text) {
  const auto period = parse_integer(period_text);
  const auto microseconds = parse_integer(quota_text);
  if (!period || !microseconds || *period <= 0 || *microseconds <= 0) return std::nullopt;
  return Quota{static_cast<double>(*microseconds) / static_cast<double>(*period), false};
}

}  // namespace

CgroupMemberships parse_cgroup(std::string_view text) {
  CgroupMemberships result;
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    if (line.empty()) continue;
    const auto id = parse_integer(cut(line, ':'));
    const bool has_controllers = line.find(':') != std::string_view::npos;
    const std::string_view controllers = cut(line, ':');
    if (!id || *id < 0 || !has_controllers || !line.starts_with('/')) {
      result.garbage = true;
      continue;
    }
    result.lines.push_back(
        {*id == 0 && controllers.empty(), std::string(controllers), std::string(line)});
  }
  return result;
}

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  while (!mountinfo.empty()) {
    std::string_view line = cut(mountinfo, '\n');
    // "ID parent major:minor root point options [tag...] - type source super-options"
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    std::string_view tail = line.substr(dash + 3);
    const std::string_view type = cut(tail, ' ');
    if (type != "cgroup" && type != "cgroup2") continue;
    cut(tail, ' ');
    std::string_view head = line.substr(0, dash);
    for (int skipped = 0; skipped < 3; ++skipped) cut(head, ' ');
    const std::string_view root = cut(head, ' ');
    const std::string_view point = cut(head, ' ');
    if (!root.starts_with('/') || !point.starts_with('/')) continue;
    mounts.push_back({type == "cgroup2", std::string(trim(tail)), unescape(root), unescape(point)});
  }
  return mounts;
}

CgroupRoute route(std::string_view root, std::string_view path) {
  using Where = CgroupRoute::Where;
  if (root == "/") root = {};
  if (path == "/") path = {};
  if (path.starts_with(root)) {
    const std::string_view rest = path.substr(root.size());
    // A rest that climbs leaves the mount again.
    if ((rest.empty() || rest.front() == '/') && ups(rest) == 0) {
      return {Where::kBelow, std::string(rest)};
    }
  }
  // A root that only climbs is an ancestor of everything that climbs less.
  if (!root.empty() && only_ups(root) && ups(path) < ups(root)) return {Where::kHidden, {}};
  return {Where::kOutside, {}};
}

std::optional<Quota> parse_cpu_max(std::string_view text) {
  text = trim(text);
  const std::string_view limit = cut(text, ' ');
  if (limit == "max") {
    const auto period = parse_integer(text);
    if (!text.empty() && (!period || *period <= 0)) return std::nullopt;
    return Quota{};
  }
  return quota(limit, text);
}

std::optional<Quota> parse_cfs(std::string_view quota_text, std::string_view period_text) {
  if (parse_integer(trim(quota_text)) == -1) return Quota{};
  return quota(trim(quota_text), trim(period_text));
}

}  // namespace corewise
