// Receipts of open limits. Opening and closing set counts in foreign libraries and take the core's
// lock, so both run without the GIL.
#include <mutex>
#include <string>
#include <vector>

#include "binding.h"

namespace corewise::python {
namespace {

// Rules as Python passes them: (match, name as bytes, id, threads).
class Rules {
 public:
  explicit Rules(const nb::list& from) {
    names_.reserve(from.size());
    for (const nb::handle item : from) {
      const auto rule = nb::cast<nb::tuple>(item);
      const auto name = nb::cast<nb::bytes>(rule[1]);
      names_.emplace_back(name.c_str(), name.size());
      rules_.push_back({static_cast<cw_match>(nb::cast<int>(rule[0])), names_.back().c_str(),
                        nb::cast<std::uint32_t>(rule[2]), nb::cast<int>(rule[3])});
    }
  }
  std::span<const cw_rule> get() const { return rules_; }

 private:
  std::vector<std::string> names_;
  std::vector<cw_rule> rules_;
};

class Receipt {
 public:
  // `clamped`: a pool with a lower ceiling gets that; else the count is refused.
  Receipt(const nb::list& rules, bool clamped)
      : Receipt(Rules(rules), clamped ? CW_LIMITS_CLAMP : 0U) {}
  Receipt(const Receipt&) = delete;
  Receipt& operator=(const Receipt&) = delete;

  // Nobody can close a receipt that nobody holds: its limits become permanent.
  ~Receipt() {
    if (!open_) return;
    const nb::gil_scoped_release released;
    open_.keep();
  }

  bool is_open() const {
    const nb::gil_scoped_release released;
    const std::lock_guard lock(mutex_);
    return static_cast<bool>(open_);
  }

  std::size_t close() {
    const nb::gil_scoped_release released;
    const std::lock_guard lock(mutex_);
    if (!open_) return 0;
    last_ = open_.outcomes();
    return open_.close();
  }

  nb::list outcomes() const {
    std::vector<outcome> all;
    {
      const nb::gil_scoped_release released;
      const std::lock_guard lock(mutex_);
      all = open_ ? open_.outcomes() : last_;
    }
    nb::list out;
    for (const outcome& o : all) {
      out.append(nb::make_tuple(o.pool, count_or_none(o.before), o.asked,
                                count_or_none(o.effective), text(o.reason)));
    }
    return out;
  }

  // True if a pool may use more threads than it was asked to, or does not tell.
  bool missed() const {
    const nb::gil_scoped_release released;
    const std::lock_guard lock(mutex_);
    for (const outcome& o : open_.outcomes()) {
      if (o.effective == 0 || o.effective > o.asked) return true;
    }
    return false;
  }

 private:
  Receipt(const Rules& rules, std::uint32_t flags) : open_(open(rules, flags)) {
    if (!open_) raise(open_.error());
  }
  static limits open(const Rules& rules, std::uint32_t flags) {
    const nb::gil_scoped_release released;
    return limits(rules.get(), flags);
  }

  // Several threads may close and read one receipt. Whoever holds the lock, or waits for it, does
  // not hold the GIL: the holder may wait for the loader, whose holder may wait for the GIL.
  mutable std::mutex mutex_;
  limits open_;
  std::vector<outcome> last_;
};

}  // namespace

void bind_limits(nb::module_& m) {
  nb::class_<Receipt>(m, "Receipt")
      .def(nb::init<const nb::list&, bool>(), nb::arg("rules"), nb::arg("clamped") = false)
      .def_prop_ro("is_open", &Receipt::is_open)
      .def_prop_ro("missed", &Receipt::missed)
      .def("close", &Receipt::close)
      .def("outcomes", &Receipt::outcomes);
  m.attr("MATCH_ALL") = static_cast<int>(CW_MATCH_ALL);
  m.attr("MATCH_API") = static_cast<int>(CW_MATCH_API);
  m.attr("MATCH_PATH") = static_cast<int>(CW_MATCH_PATH);
  m.attr("MATCH_NAME") = static_cast<int>(CW_MATCH_NAME);
  m.attr("MATCH_ID") = static_cast<int>(CW_MATCH_ID);
  m.attr("MAX_THREADS") = CW_MAX_THREADS;
}

}  // namespace corewise::python
