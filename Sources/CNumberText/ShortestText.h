// Writes the shortest text that reads back as the same float, spelled as by std::to_chars.
#ifndef SHORTESTTEXT_H
#define SHORTESTTEXT_H

#include "CNumberText.h"

#include <charconv>
#include <cstdint>
#include <cstring>

namespace number_text {

constexpr uint32_t powers_of_ten[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};

// Eight decimal digits as ASCII, the first in the lowest byte; `value` < 10^8.
inline uint64_t eight_digits(uint32_t value) {
  // Works on both halves at once: divides by 10^4, then each part by 100, then each part by 10.
  const uint32_t high = static_cast<uint32_t>((uint64_t(value) * 109951163) >> 40);
  uint64_t lanes = high | (uint64_t(value - high * 10000) << 32);
  uint64_t quotients = ((lanes * 10486) >> 20) & 0x0000007F0000007F;
  lanes = quotients | ((lanes - quotients * 100) << 16);
  quotients = ((lanes * 103) >> 10) & 0x000F000F000F000F;
  lanes = quotients | ((lanes - quotients * 10) << 8);
  return lanes + 0x3030303030303030;
}

// The scale of all floats with the same binary exponent. 2^q is the distance between two of them, and
// places is such that 1 <= 2^q * 10^places < 10.
struct Scale {
  uint32_t half;  // 5^places: half of that distance, in units of 2^-shift · 10^-places
  uint8_t places;
  uint8_t shift;
};

constexpr uint32_t least_scaled = 0x3B000000;     // the bits of 2^-9
constexpr uint32_t greatest_scaled = 0x4B800000;  // the bits of 2^24

struct Scales {
  Scale of[(greatest_scaled - least_scaled) >> 23] = {};

  constexpr Scales() {
    for (int index = 0; index < int(sizeof(of) / sizeof(Scale)); ++index) {
      const int exponent = index - 32;  // q
      uint64_t five = 1;
      int places = 0;
      while (-(exponent + places) > 0 && five >> -(exponent + places) == 0) {
        five *= 5;
        ++places;
      }
      of[index].half = static_cast<uint32_t>(five);
      of[index].places = static_cast<uint8_t>(places);
      of[index].shift = static_cast<uint8_t>(1 - (exponent + places));
    }
  }
};

inline constexpr Scales scales;

// Writes the number. `text` has room for NUMBER_TEXT_CAPACITY bytes, and all of them may change.
//
// The method is that of Schubfach (Giulietti 2020). At most two multiples of 10^-places are nearest to the
// float. At most one multiple of ten times that lies in the interval that rounds to the float. For
// 2^-9 <= |value| < 2^24 all of this is exact in 64 bits. The standard library writes all other values. It also
// writes powers of two, because their interval is not symmetric.
inline char *write_shortest(float value, char *text) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  const uint32_t fraction = bits & 0x007FFFFF;
  if (magnitude - least_scaled < greatest_scaled - least_scaled && fraction != 0) {
    const Scale scale = scales.of[(magnitude - least_scaled) >> 23];
    const uint64_t scaled = uint64_t(2 * (fraction | 0x00800000)) * scale.half;
    const uint32_t whole = static_cast<uint32_t>(scaled >> scale.shift);
    const uint32_t tens = whole / 10;
    // The distances to the multiples of ten on both sides. The ends of the interval count if the float is even.
    const uint64_t below = scaled - (uint64_t(tens * 10) << scale.shift);
    const uint64_t above = (uint64_t(10) << scale.shift) - below;
    const uint64_t reach = scale.half - (fraction & 1);
    const bool rounds_up = above <= reach;
    const bool is_ten = below <= reach || rounds_up;
    // Otherwise takes the nearest multiple, and the even one if two are equally near.
    const uint64_t unit = uint64_t(1) << scale.shift;
    const bool is_upper = (scaled & (unit - 1)) + (whole & 1) > unit / 2;
    uint32_t digits = is_ten ? tens + rounds_up : whole + is_upper;
    int places = scale.places - is_ten;
    if (is_ten) {
      for (; digits % 10 == 0; digits /= 10) --places;
    }
    float absolute;
    std::memcpy(&absolute, &magnitude, sizeof(absolute));
    // Only a whole float rounds to a whole number, so the text has the same integer part.
    const uint32_t integer = static_cast<uint32_t>(static_cast<int32_t>(absolute));
    if (places > 0 && integer < 10) {
      *text = '-';
      text += bits >> 31;
      text[0] = static_cast<char>('0' + integer);
      text[1] = '.';
      if (places <= 8) {
        const uint32_t decimals = digits - integer * powers_of_ten[places];
        const uint64_t written = eight_digits(decimals * powers_of_ten[8 - places]);
        std::memcpy(text + 2, &written, 8);
        return text + 2 + places;
      }
      // The value is below 1/8, so its integer part is 0. Writes its last nine decimals after zeros.
      const uint32_t first = digits / powers_of_ten[8];
      const uint64_t others = eight_digits(digits - first * powers_of_ten[8]);
      std::memset(text + 2, '0', 4);
      text[places - 7] = static_cast<char>('0' + first);
      std::memcpy(text + places - 6, &others, 8);
      return text + 2 + places;
    }
  }
  return std::to_chars(text, text + NUMBER_TEXT_CAPACITY, value).ptr;
}

inline char *write_shortest(double value, char *text) {
  return std::to_chars(text, text + NUMBER_TEXT_CAPACITY, value).ptr;
}

}  // namespace number_text

#endif
