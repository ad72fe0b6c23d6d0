// The drawing in the page of `corewise record`.
#pragma once

#include <string>
#include <string_view>

#include "recording.h"

namespace corewise::cli {

// An <svg> element whose width is `seconds`. Its classes c0 to c4 are the colours of the kinds of
// threads (thread_kind.h). `id`: the suffix of the ids in it, since a page may have two drawings.
std::string timeline_svg(const Recording& recording, double seconds, int id);

// Escapes text for HTML, at most `most` characters. Controls and bytes that are not UTF-8 become
// \xNN. The page is UTF-8, whatever the locale.
std::string shown_in_html(std::string_view text, std::size_t most);

}  // namespace corewise::cli
