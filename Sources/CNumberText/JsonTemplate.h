// Reads lines of JSON that differ from an earlier one only in their scalars.
//
// Most streams spell every record alike: the same keys in the same order, with the same spaces. The reader
// keeps the last sound line as a template. A later line matches if the text between its scalars is the same,
// byte for byte. The scalars between may be others. A line that matches is sound JSON with the same members, so
// it needs no other check.
#ifndef JSONTEMPLATE_H
#define JSONTEMPLATE_H

#include "JsonWalk.h"
#include "PlainNumber.h"
#include "RowTarget.h"

#include <cmath>
#include <limits>

namespace json {

class Template {
 public:
  // A scalar of the line. `feature` is -1 if the scalar is no feature.
  struct Slot {
    uint32_t begin, end;
    int32_t feature;
  };

  // Keeps a line without its line end, and its scalars in the order of the text.
  void keep(std::string_view line, const std::vector<Slot> &slots) {
    text_.assign(line.begin(), line.end());
    while (!text_.empty() && (text_.back() == '\n' || text_.back() == '\r')) text_.pop_back();
    slots_ = slots;
  }

  bool is_empty() const { return slots_.empty(); }

  // Reads one line from `begin` on. `limit` is just after a line end; bytes up to `end` may be read. `writer` takes
  // the value of each feature; null is NaN. Returns the position after the line end, or NULL if the line does not
  // match the template.
  const char *read(const char *begin, const char *limit, const char *end, bool allows_null,
                   double greatest, number_text::RowWriter &writer) const {
    const char *cursor = begin;
    uint32_t kept = 0;
    for (const Slot &slot : slots_) {
      cursor = skip_text(cursor, kept, slot.begin, limit);
      if (cursor == nullptr) return nullptr;
      kept = slot.end;
      if (slot.feature < 0) {
        cursor = skip_scalar(cursor, limit);
        if (cursor == nullptr) return nullptr;
        continue;
      }
      double value = 0;
      const char *after = read_number(cursor, limit, end, allows_null, greatest, &value);
      if (after == nullptr) return nullptr;
      writer.take(slot.feature, value, cursor, after);
      cursor = after;
    }
    cursor = skip_text(cursor, kept, static_cast<uint32_t>(text_.size()), limit);
    if (cursor == nullptr) return nullptr;
    if (*cursor == '\r') ++cursor;
    return cursor < limit && *cursor == '\n' ? cursor + 1 : nullptr;
  }

 private:
  std::vector<char> text_;
  std::vector<Slot> slots_;

  // Compares the text between two scalars. At least the line end follows it.
  const char *skip_text(const char *cursor, uint32_t begin, uint32_t end, const char *limit) const {
    const size_t count = end - begin;
    if (size_t(limit - cursor) <= count) return nullptr;
    const char *const expected = text_.data() + begin;
    if (count <= 8 && text_.size() - begin >= 8 && limit - cursor >= 8) {
      uint64_t one, other;
      std::memcpy(&one, cursor, 8);
      std::memcpy(&other, expected, 8);
      // The shift drops the bytes after the text. It is done in two halves, since a shift by 64 is undefined.
      const bool differs = (one ^ other) << (4 * (8 - count)) << (4 * (8 - count)) != 0;
      return differs ? nullptr : cursor + count;
    }
    return std::memcmp(cursor, expected, count) == 0 ? cursor + count : nullptr;
  }

  static bool ends_scalar(char c) { return c == ',' || c == '}' || c == ']' || is_space(c); }

  static std::string_view token(const char *cursor, const char *limit) {
    const char *after = cursor;
    while (after < limit && !ends_scalar(*after)) ++after;
    return std::string_view(cursor, after - cursor);
  }

  static const char *read_number(const char *cursor, const char *limit, const char *end,
                                 bool allows_null, double greatest, double *value) {
    if (size_t(end - cursor) >= number_text::plain_number_reach) {
      const char *const digits = cursor + (*cursor == '-');
      const char *const after = number_text::parse_plain(cursor, value);
      const bool leads_with_zero = *digits == '0' && digits[1] >= '0' && digits[1] <= '9';
      // An exponent after the number differs from the text that must follow, so the line does not match.
      if (after != nullptr && !leads_with_zero) return after;
    }
    const std::string_view text = token(cursor, limit);
    if (text == "null") {
      *value = std::numeric_limits<double>::quiet_NaN();
      return allows_null ? cursor + text.size() : nullptr;
    }
    if (!is_number(text)) return nullptr;
    number_text_parse(text.data(), text.data() + text.size(), value);
    return std::fabs(*value) <= greatest ? cursor + text.size() : nullptr;
  }

  // Skips a scalar that is no feature. Leaves a string with a backslash to the walk.
  static const char *skip_scalar(const char *cursor, const char *limit) {
    if (*cursor == '"') return skip_string(cursor + 1);
    const std::string_view text = token(cursor, limit);
    const bool is_sound = text == "null" || text == "true" || text == "false" || is_number(text);
    return is_sound ? cursor + text.size() : nullptr;
  }

  static const char *skip_string(const char *begin) {
    bool is_ascii = true;
    const char *cursor = begin;
    for (; *cursor != '"'; ++cursor) {
      // The line end, which always follows, is below 0x20 and ends the loop.
      if (*cursor == '\\' || static_cast<unsigned char>(*cursor) < 0x20) return nullptr;
      is_ascii &= static_cast<unsigned char>(*cursor) < 0x80;
    }
    if (!is_ascii && !simdjson::validate_utf8(begin, cursor - begin)) return nullptr;
    return cursor + 1;
  }
};

}  // namespace json

#endif
