#include "parser.h"

#include <algorithm>

#include "choice.h"

namespace corewise::cli {
namespace {

constexpr const char* kSharedGroup = "Options of all commands";

}  // namespace

Parser::Parser(const Command& command) : app(command.about, command.name) {
  app.set_help_flag();
  app.prefix_command(command.takes_command);
  app.option_defaults()->group("Options");
  action = command.declare(app);
  app.option_defaults()->group(kSharedGroup);
  app.add_flag("--json", settings.json, "Print JSON, with schema_version");
  app.add_option("--color", settings.color, "Colour the output (default: auto, on a terminal)")
      ->check(one_of({"auto", "always", "never"}))
      ->type_name("auto|always|never");
  app.add_flag("-q,--quiet", settings.quiet, "No notes and hints");
  app.add_flag("-h,--help", help, "Print this help");
}

std::string OptionRow::heading() const {
  std::string names;
  for (const std::string& flag : flags) names += (names.empty() ? "" : ", ") + flag;
  return names.empty() ? value : value.empty() ? names : names + " " + value;
}

std::vector<std::string> OptionRow::choices() const {
  std::vector<std::string> words;
  if (value.find('|') == value.npos) return words;
  for (std::size_t at = 0; at <= value.size();) {
    const std::size_t end = std::min(value.find('|', at), value.size());
    words.push_back(value.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::vector<OptionRow> options_of(const Command& command) {
  const Parser parser(command);
  std::vector<OptionRow> rows;
  for (const CLI::Option* option : parser.app.get_options()) {
    OptionRow row;
    for (const std::string& name : option->get_snames()) row.flags.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) row.flags.push_back("--" + name);
    if (row.flags.empty()) row.name = option->get_name(true);
    if (option->get_expected_max() > 0) row.value = option->get_type_name();
    row.text = option->get_description();
    row.shared = option->get_group() == kSharedGroup;
    // An option without a group only says what to do instead.
    if (option->get_group().empty()) continue;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace corewise::cli
