// Reads the numbers that nearly all are: a few digits, or a few on either side of a point.
#ifndef PLAINNUMBER_H
#define PLAINNUMBER_H

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace number_text {

// So many bytes from the start of a number are looked at, whatever its length.
constexpr size_t plain_number_reach = 18;

// A bit for each of sixteen bytes that is no digit, the first byte's the lowest.
inline uint32_t non_digits(const char *text) {
#ifdef __SSE2__
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text));
  // The digits become the least of the signed bytes.
  const __m128i moved = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(0x80 - '0')));
  return static_cast<uint32_t>(
      _mm_movemask_epi8(_mm_cmpgt_epi8(moved, _mm_set1_epi8(static_cast<char>(0x80 + 9)))));
#else
  uint32_t found = 0;
  for (int i = 0; i < 16; ++i) found |= uint32_t(text[i] < '0' || text[i] > '9') << i;
  return found;
#endif
}

// The number that the first `count` of eight bytes spell, which are digits; 0 where there are none.
inline uint32_t digits_value(const char *text, int count) {
  uint64_t lanes;
  std::memcpy(&lanes, text, 8);
  lanes ^= 0x3030303030303030;
  // The digits move up to the end, and zeros stand before them.
  lanes = lanes << (4 * (8 - count)) << (4 * (8 - count));
  // Pairs of digits, then all of them.
  lanes = lanes * 10 + (lanes >> 8);
  const uint64_t pairs = 0x000000FF000000FF;
  return static_cast<uint32_t>(((lanes & pairs) * (100 + (uint64_t(1000000) << 32)) +
                                ((lanes >> 16) & pairs) * (1 + (uint64_t(10000) << 32))) >> 32);
}

// Reads a number of 1 to 8 digits, with a point and 1 to 8 more or none, and 15 digits at most.
// Correctly rounded: both numerator and denominator are exact (Clinger 1990).
// Returns just after it, or NULL where something else stands; what stands behind is not looked at.
inline const char *parse_plain(const char *text, double *value) {
  static constexpr uint32_t powers[] = {1,      10,      100,      1000,     10000,
                                        100000, 1000000, 10000000, 100000000};
  const bool is_negative = *text == '-';
  text += is_negative;
  const uint32_t others = non_digits(text);
  const int whole = __builtin_ctz(others | 1u << 16);
  const bool has_point = text[whole] == '.';
  const uint32_t behind = others & (others - 1);
  const int length = has_point ? __builtin_ctz(behind | 1u << 16) : whole;
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
