// The drawing in the page of `corewise record`.
#pragma once

#include <string>
#include <string_view>

#include "recording.h"

namespace corewise::cli {

// An <svg> element whose width is `seconds`. Its classes c0 to c4 are the colours of the kinds of
// threads (thread_kind.h). `id`: what its own ids end in, since a page may have two.
std::string timeline_svg(const Recording& recording, double seconds, int id);

// Text in HTML. What may not be UTF-8 becomes '?', since the page must be; at most `most` bytes.
std::string shown_in_html(std::string_view text, std::size_t most);

}  // namespace corewise::cli
