#include "finding_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "layout.h"
#include "shell/exit_codes.h"

namespace corewise::cli {
namespace {

Paint paint_of(Severity severity) {
  switch (severity) {
    case Severity::kDanger:
      return Paint::kRed;
    case Severity::kWarning:
      return Paint::kYellow;
    default:
      return Paint::kBold;
  }
}

// "1 danger, 2 warnings"
std::string tally(const std::vector<Finding>& findings) {
  std::string text;
  for (const Severity severity : {Severity::kDanger, Severity::kWarning, Severity::kNote}) {
    const auto count = std::count_if(findings.begin(), findings.end(), [&](const Finding& finding) {
      return finding.severity == severity;
    });
    if (count == 0) continue;
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", count, severity_name(severity),
                        count == 1 ? "" : "s");
  }
  return text;
}

std::string screen_of(const std::vector<Finding>& findings, const std::string& about,
                      const Context& context) {
  const Style style = style_for(context.settings);
  constexpr int kIndent = 9;
  std::string out;
  const auto line = [&](const std::string& head, Paint paint, const std::string& text) {
    out += painted(padded(head, kIndent), paint, style) +
           folded(printable(text, style.unicode), kIndent, kIndent, style.width) + "\n";
  };
  for (const Finding& finding : findings) {
    line(severity_name(finding.severity), paint_of(finding.severity), finding.what);
    line("  why", Paint::kDim, finding.why);
    line("  do", Paint::kDim, finding.cures.shell.empty() ? finding.remedy : finding.cures.shell);
    out += '\n';
  }
  const std::string who = printable(about, style.unicode);
  if (findings.empty()) return folded("Nothing wrong with " + who + ".", 0, 0, style.width) + "\n";
  return out + folded(who + ": " + tally(findings) + ".", 0, 0, style.width) + "\n";
}

}  // namespace

void merge(std::vector<Finding>& into, const std::vector<Finding>& more) {
  for (const Finding& finding : more) {
    const bool known = std::any_of(into.begin(), into.end(), [&](const Finding& one) {
      return one.id == finding.id && one.what == finding.what;
    });
    if (!known) into.push_back(finding);
  }
}

int show_findings(const std::vector<Finding>& found, const std::string& about,
                  const Context& context) {
  const std::vector<Finding> findings = by_severity(found);
  write_out(context.settings.json ? findings_json(findings) + "\n"
                                  : screen_of(findings, about, context));
  return exit_for_findings(findings);
}

int exit_for_findings(const std::vector<Finding>& findings) {
  const bool serious = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity != Severity::kNote;
  });
  return serious ? kFailed : kOk;
}

}  // namespace corewise::cli
