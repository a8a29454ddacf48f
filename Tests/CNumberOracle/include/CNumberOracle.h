// The text that the C++ standard library writes, which the tests compare with ours.
#ifndef CNUMBERORACLE_H
#define CNUMBERORACLE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Writes the shortest text that reads back as the same float. The buffer must have room for 32 bytes.
// Returns the length of the text.
size_t number_oracle_format_float(float value, char *_Nonnull text);

#ifdef __cplusplus
}
#endif
#endif
