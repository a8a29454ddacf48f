// Reads plain numbers fast: a few digits, or a few digits on both sides of a point. Most numbers are plain.
#ifndef PLAINNUMBER_H
#define PLAINNUMBER_H

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace number_text {

// `parse_plain` reads up to this many bytes from the start of a number, however long the number is.
constexpr size_t plain_number_reach = 18;

// Returns a bit for each of sixteen bytes, 1 if the byte is no digit. The lowest bit is the first byte's.
inline uint32_t non_digits(const char *text) {
#ifdef __SSE2__
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text));
  // The shift by 0x80 - '0' turns the digits into the ten least signed bytes.
  const __m128i moved = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(0x80 - '0')));
  return static_cast<uint32_t>(
      _mm_movemask_epi8(_mm_cmpgt_epi8(moved, _mm_set1_epi8(static_cast<char>(0x80 + 9)))));
#else
  uint32_t found = 0;
  for (int i = 0; i < 16; ++i) found |= uint32_t(text[i] < '0' || text[i] > '9') << i;
  return found;
#endif
}

// Returns the number that the first `count` of eight bytes spell; these must be digits. No digits give 0.
inline uint32_t digits_value(const char *text, int count) {
  uint64_t lanes;
  std::memcpy(&lanes, text, 8);
  lanes ^= 0x3030303030303030;
  // Moves the digits to the last bytes and puts zeros before them.
  lanes = lanes << (4 * (8 - count)) << (4 * (8 - count));
  // Adds up pairs of digits, then the four pairs.
  lanes = lanes * 10 + (lanes >> 8);
  const uint64_t pairs = 0x000000FF000000FF;
  return static_cast<uint32_t>(((lanes & pairs) * (100 + (uint64_t(1000000) << 32)) +
                                ((lanes >> 16) & pairs) * (1 + (uint64_t(10000) << 32))) >> 32);
}

// Reads a number of 1 to 8 digits, optionally with a point and 1 to 8 more digits, 15 digits at most.
// The result is correctly rounded, because numerator and denominator are exact (Clinger 1990).
// Returns the position after the number, or NULL if it is no plain number. Does not check what follows.
inline const char *parse_plain(const char *text, double *value) {
  static constexpr uint32_t powers[] = {1,      10,      100,      1000,     10000,
                                        100000, 1000000, 10000000, 100000000};
  const bool is_negative = *text == '-';
  text += is_negative;
  const uint32_t others = non_digits(text);
  const int whole = __builtin_ctz(others | 1u << 16);
  const bool has_point = text[whole] == '.';
  const uint32_t after_point = others & (others - 1);
  const int length = has_point ? __builtin_ctz(after_point | 1u << 16) : whole;
  const int places = has_point ? length - whole - 1 : 0;
  if (unsigned(whole - 1) > 7 || unsigned(places) > 8 || length == 16 || places < has_point) {
    return nullptr;
  }
  const int64_t digits = int64_t(digits_value(text, whole)) * powers[places] +
                         digits_value(text + whole + 1, places);
  const double magnitude = static_cast<double>(digits) / powers[places];
  uint64_t bits;
  std::memcpy(&bits, &magnitude, 8);
  bits |= uint64_t(is_negative) << 63;
  std::memcpy(value, &bits, 8);
  return text + length;
}

}  // namespace number_text

#endif
