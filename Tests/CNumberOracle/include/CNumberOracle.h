// What the C++ standard library writes, to hold ours against.
#ifndef CNUMBERORACLE_H
#define CNUMBERORACLE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Writes the shortest text that reads back as the same float to a place with room for 32 bytes;
// returns its length.
size_t number_oracle_format_float(float value, char *_Nonnull text);

#ifdef __cplusplus
}
#endif
#endif
