// Text <-> number through the C++ standard library, and JSON through simdjson, behind C.
#ifndef CNUMBERTEXT_H
#define CNUMBERTEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The longest text that the formatting functions write.
#define NUMBER_TEXT_CAPACITY 32

// Reads the decimal number at the start of [begin, end): optional '+' or '-', digits, fraction,
// exponent, or inf/infinity/nan in any case. Correctly rounded; beyond the range gives an infinity,
// below it zero or a subnormal.
// Returns just after the last byte of the number, or NULL where no number starts.
const char *_Nullable number_text_parse(const char *_Nonnull begin, const char *_Nonnull end,
                                        double *_Nonnull value);

// Writes the shortest text that reads back as the same number; returns its length.
size_t number_text_format_float(float value, char *_Nonnull text);
size_t number_text_format_double(double value, char *_Nonnull text);

#ifdef __cplusplus
}
#endif
#endif
