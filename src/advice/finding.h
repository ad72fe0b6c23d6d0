// A finding: what is wrong, why, and what to type. The doctor's and the death reports' are alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace corewise {

enum class Severity { kNote, kWarning, kDanger };

// The remedy as it is typed in one place. Empty where `remedy` says it for all.
struct Cures {
  std::string shell;     // "start it as: corewise run -- ..."
  std::string notebook;  // "%govern on"
  std::string python;    // "corewise.govern()"
};

// One cause is one finding, which lists all pools that it is about.
struct Finding {
  std::string id;  // stable, for programs: "openblas-slots"
  Severity severity = Severity::kNote;
  std::string what;
  std::string why;
  std::string remedy;  // for a reader in any place
  Cures cures = {};
  std::vector<std::string> pools = {};  // paths
};

// Most severe first, otherwise in the order given.
std::vector<Finding> by_severity(const std::vector<Finding>& findings);

const char* severity_name(Severity severity);
Severity severity_named(std::string_view name);  // kNote for what is none

// The cure for crashes and for spinning that is corewise's own, first in each place, `does` what it
// does. Then another one for each place; empty where there is none.
void govern_first(Finding& finding, const std::string& does, const Cures& others);

// "numpy's copy" of an OpenBLAS in that wheel, "libopenblas.so.0" of one that no wheel brought.
// Where the sentence does not speak of OpenBLAS already: "numpy's OpenBLAS".
std::string copy_name(std::string_view path, const char* noun = "copy");

// [{"id": ..., "severity": ..., ...}, ...]
void write_findings(Json& json, const std::vector<Finding>& findings);
// {"schema_version": 1, "findings": [...]}
std::string findings_json(const std::vector<Finding>& findings);
// The findings of such a document. CW_BAD_ARGUMENT if the text is none.
Result<std::vector<Finding>> findings_from_json(std::string_view text);

}  // namespace corewise
