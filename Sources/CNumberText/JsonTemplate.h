// Reads lines of JSON that differ from an earlier one in their scalars alone.
//
// Most streams spell every record alike: the same keys in the same order, the same blanks. A line
// that was read and found sound is kept as a template: the text between its scalars has to come
// again to the letter, and in the place of each scalar any other may stand. Such a line is sound
// JSON with the same members, so nothing else needs to be looked at.
#ifndef JSONTEMPLATE_H
#define JSONTEMPLATE_H

#include "JsonWalk.h"
#include "PlainNumber.h"
#include "RowTarget.h"

#include <limits>

namespace json {

class Template {
 public:
  // A scalar of the line, and the feature that it is or -1.
  struct Slot {
    uint32_t begin, end;
    int32_t feature;
  };

  // Takes a line, its line end aside, with its scalars in the order in which they stand.
  void keep(std::string_view line, const std::vector<Slot> &slots) {
    text_.assign(line.begin(), line.end());
    while (!text_.empty() && (text_.back() == '\n' || text_.back() == '\r')) text_.pop_back();
    slots_ = slots;
  }

  bool is_empty() const { return slots_.empty(); }

  // Reads the line from `begin` on; `limit` is behind a line end, and bytes before `end` may be
  // looked at. `writer` takes each feature, NaN being null.
  // Returns the place behind the line end, or NULL where the line is another.
  const char *read(const char *begin, const char *limit, const char *end, bool allows_null,
                   number_text::RowWriter &writer) const {
    const char *place = begin;
    uint32_t kept = 0;
    for (const Slot &slot : slots_) {
      place = skip_text(place, kept, slot.begin, limit);
      if (place == nullptr) return nullptr;
      kept = slot.end;
      if (slot.feature < 0) {
        place = skip_scalar(place, limit);
        if (place == nullptr) return nullptr;
        continue;
      }
      double value = 0;
      const char *after = read_number(place, limit, end, allows_null, &value);
      if (after == nullptr) return nullptr;
      writer.take(slot.feature, value, place, after);
      place = after;
    }
    place = skip_text(place, kept, static_cast<uint32_t>(text_.size()), limit);
    if (place == nullptr) return nullptr;
    if (*place == '\r') ++place;
    return place < limit && *place == '\n' ? place + 1 : nullptr;
  }

 private:
  std::vector<char> text_;
  std::vector<Slot> slots_;

  // The text between two scalars, of which at least the line end is left.
  const char *skip_text(const char *place, uint32_t begin, uint32_t end, const char *limit) const {
    const size_t count = end - begin;
    if (size_t(limit - place) <= count) return nullptr;
    const char *const expected = text_.data() + begin;
    if (count <= 8 && text_.size() - begin >= 8 && limit - place >= 8) {
      uint64_t one, other;
      std::memcpy(&one, place, 8);
      std::memcpy(&other, expected, 8);
      // What is behind the text does not count; a shift by 64 would mean nothing.
      const bool differs = (one ^ other) << (4 * (8 - count)) << (4 * (8 - count)) != 0;
      return differs ? nullptr : place + count;
    }
    return std::memcmp(place, expected, count) == 0 ? place + count : nullptr;
  }

  static bool ends_scalar(char c) { return c == ',' || c == '}' || c == ']' || is_space(c); }

  static std::string_view token(const char *place, const char *limit) {
    const char *after = place;
    while (after < limit && !ends_scalar(*after)) ++after;
    return std::string_view(place, after - place);
  }

  static const char *read_number(const char *place, const char *limit, const char *end,
                                 bool allows_null, double *value) {
    if (size_t(end - place) >= number_text::plain_number_reach) {
      const char *const digits = place + (*place == '-');
      const char *const after = number_text::parse_plain(place, value);
      const bool leads_with_zero = *digits == '0' && digits[1] >= '0' && digits[1] <= '9';
      // What goes on behind it (an exponent) is compared with the text that follows, and differs.
      if (after != nullptr && !leads_with_zero) return after;
    }
    const std::string_view text = token(place, limit);
    if (text == "null") {
      *value = std::numeric_limits<double>::quiet_NaN();
      return allows_null ? place + text.size() : nullptr;
    }
    if (!is_number(text)) return nullptr;
    number_text_parse(text.data(), text.data() + text.size(), value);
    return *value - *value == 0 ? place + text.size() : nullptr;
  }

  // A scalar that is no feature; strings with a backslash are left to the walk.
  static const char *skip_scalar(const char *place, const char *limit) {
    if (*place == '"') return skip_string(place + 1);
    const std::string_view text = token(place, limit);
    const bool is_sound = text == "null" || text == "true" || text == "false" || is_number(text);
    return is_sound ? place + text.size() : nullptr;
  }

  static const char *skip_string(const char *begin) {
    bool is_ascii = true;
    const char *place = begin;
    for (; *place != '"'; ++place) {
      // So is the line end, which is there.
      if (*place == '\\' || static_cast<unsigned char>(*place) < 0x20) return nullptr;
      is_ascii &= static_cast<unsigned char>(*place) < 0x80;
    }
    if (!is_ascii && !simdjson::validate_utf8(begin, place - begin)) return nullptr;
    return place + 1;
  }
};

}  // namespace json

#endif
