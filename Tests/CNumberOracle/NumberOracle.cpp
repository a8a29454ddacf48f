#include "CNumberOracle.h"

#include <charconv>

size_t number_oracle_format_float(float value, char *text) {
  return static_cast<size_t>(std::to_chars(text, text + 32, value).ptr - text);
}
