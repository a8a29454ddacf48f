#include "CNumberText.h"
#include "PlainNumber.h"
#include "ShortestText.h"

#include <charconv>
#include <cstdlib>
#include <string>

const char *number_text_parse(const char *begin, const char *end, double *value) {
  const size_t length = static_cast<size_t>(end - begin);
  if (length > 0 && length <= 16) {
    char text[16 + number_text::plain_number_reach] = {};
    std::memcpy(text, begin, length);
    double plain;
    if (number_text::parse_plain(text, &plain) == text + length) {
      *value = plain;
      return end;
    }
  }
  const char *digits = begin;
  if (digits != end && *digits == '+') {
    ++digits;
    if (digits != end && *digits == '-') return nullptr;
  }
  const std::from_chars_result result = std::from_chars(digits, end, *value);
  if (result.ec == std::errc::result_out_of_range) {
    // from_chars does not tell on which side the value left the range; strtod does.
    *value = std::strtod(std::string(digits, result.ptr).c_str(), nullptr);
  } else if (result.ec != std::errc()) {
    return nullptr;
  }
  return result.ptr;
}

size_t number_text_format_float(float value, char *text) {
  return static_cast<size_t>(number_text::write_shortest(value, text) - text);
}

size_t number_text_format_double(double value, char *text) {
  return static_cast<size_t>(number_text::write_shortest(value, text) - text);
}
