#include "project.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "govern/govern.h"
#include "govern/ledger/recent_callers.h"
#include "pools/pool.h"
#include "shell/output.h"

namespace corewise::cli {
namespace {

constexpr std::array<std::string_view, 6> kGovern = {"on",     "budget", "group",
                                                     "weight", "share",  "bend"};

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  Result<std::optional<Project>> read() {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path_, ignored)) {  // a folder, a pipe, a link to nothing
      return Error{CW_BAD_ARGUMENT, fmt::format("{}: expected a file", printable(path_, false))};
    }
    std::ifstream file(path_, std::ios::binary);
    std::ostringstream text;
    // With an empty file << inserts nothing and reports a failure.
    if (!file.is_open() || (file.peek() != EOF && !(text << file.rdbuf())) || file.bad()) {
      return Error{CW_BAD_ARGUMENT, fmt::format("{}: cannot be read", printable(path_, false))};
    }
    toml::table root;
    try {
      root = toml::parse(text.str());
    } catch (const toml::parse_error& error) {
      refuse(error.source(), printable(error.description(), false));
    }
    if (!error_) tables(root);
    if (error_) return *error_;
    return std::optional(std::move(project_));
  }

 private:
  // Keeps the error that comes first in the file.
  void refuse(const toml::source_region& where, const std::string& what) {
    if (error_ && line_ <= where.begin.line) return;
    line_ = where.begin.line;
    error_ = Error{CW_BAD_ARGUMENT, fmt::format("{}:{}: {}", printable(path_, false),
                                                std::max<unsigned>(where.begin.line, 1), what)};
  }

  void tables(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const bool limits = key.str() == "limits";
      if (!limits && key.str() != "govern") {
        refuse(key.source(), fmt::format("expected the tables [limits] and [govern], not '{}'",
                                         printable(key.str(), false)));
      } else if (const toml::table* table = node.as_table(); table == nullptr) {
        refuse(key.source(), fmt::format("expected a table [{}]", key.str()));
      } else if (limits) {
        each(*table, "limits", kApiNames, &Reader::limit);
      } else {
        each(*table, "govern", kGovern, &Reader::govern);
      }
    }
  }

  template <class Keys>
  void each(const toml::table& table, const char* name, const Keys& keys,
            void (Reader::*take)(const toml::key&, const toml::node&)) {
    for (const auto& [key, node] : table) {
      if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) {
        (this->*take)(key, node);
        continue;
      }
      refuse(key.source(), fmt::format("[{}] has no key '{}': expected one of {}", name,
                                       printable(key.str(), false), fmt::join(keys, ", ")));
    }
  }

  void limit(const toml::key& key, const toml::node& node) {
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() < 1 || number->get() > CW_MAX_THREADS) {
      refuse(key.source(), fmt::format("limits.{}: expected a whole number of threads from 1 to {}",
                                       key.str(), CW_MAX_THREADS));
      return;
    }
    project_.limits[std::string(key.str())] = std::to_string(number->get());
  }

  void govern(const toml::key& key, const toml::node& node) {
    if (key.str() == "on") {
      project_.govern = node.value_exact<bool>();
      if (!project_.govern) refuse(key.source(), "govern.on: expected true or false");
    } else if (key.str() == "budget") {
      project_.budget = node.is_number() ? node.value<double>() : std::nullopt;
      if (!project_.budget || !(*project_.budget > 0 && *project_.budget <= CW_MAX_THREADS)) {
        refuse(key.source(),
               fmt::format("govern.budget: expected a number of threads above 0, at most {}",
                           CW_MAX_THREADS));
      }
    } else if (key.str() == "bend") {
      bend(key, node);
    } else if (key.str() == "weight") {
      const auto* number = node.as_integer();
      if (number != nullptr && number->get() >= 1 && number->get() <= govern::kMostWeight) {
        project_.weight = static_cast<int>(number->get());
        return;
      }
      refuse(key.source(), fmt::format("govern.weight: expected a whole number from 1 to {}",
                                       govern::kMostWeight));
    } else if (key.str() == "share") {
      project_.share = node.value_exact<std::string>();
      if (!project_.share || !govern::is_share(*project_.share)) {
        refuse(key.source(), "govern.share: expected \"machine\" or \"user\"");
      }
    } else {
      project_.group = node.value_exact<std::string>();
      if (!project_.group || project_.group->empty() ||
          project_.group->find('\0') != std::string::npos) {
        refuse(key.source(), "govern.group: expected a name in quotes");
      }
    }
  }

  void bend(const toml::key& key, const toml::node& node) {
    const toml::array* names = node.as_array();
    bool good = names != nullptr;
    if (good) {
      for (const toml::node& each : *names) {
        const auto name = each.value_exact<std::string>();
        // A colon separates the names in COREWISE_BEND.
        good = good && name && !name->empty() && name->find_first_of({":\0", 2}) == name->npos;
        if (good) project_.bend.push_back(*name);
      }
    }
    if (good) return;
    refuse(key.source(),
           "govern.bend: expected a list of names of libraries in quotes, without ':'");
  }

  std::string path_;
  Project project_{.path = path_,
                   .limits = {},
                   .govern = {},
                   .budget = {},
                   .group = {},
                   .weight = {},
                   .share = {},
                   .bend = {}};
  std::optional<Error> error_;
  unsigned line_ = 0;
};

}  // namespace

Result<std::optional<Project>> find_project(const std::string& folder) {
  std::filesystem::path at = folder;
  while (true) {
    std::error_code ignored;
    const auto file = at / "corewise.toml";
    const auto kind = std::filesystem::symlink_status(file, ignored).type();
    if (kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::none) {
      return Reader(file.string()).read();
    }
    if (!at.has_relative_path()) return std::optional<Project>();
    at = at.parent_path();
  }
}

bool shares_machine() {
  const char* const set = std::getenv("COREWISE_SHARE");  // NOLINT(concurrency-mt-unsafe)
  if (set != nullptr && *set != '\0') return set == govern::kShareMachine;
  std::error_code nowhere;
  const auto project = find_project(std::filesystem::current_path(nowhere).string());
  return project && *project && (*project)->share == govern::kShareMachine;
}

}  // namespace corewise::cli
