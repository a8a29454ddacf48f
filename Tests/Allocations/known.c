/* Allocates five times for each record that it is asked for, once in every way that count.c knows. */

#include <stdlib.h>

int main(int count, char **words) {
  long records = count > 1 ? atol(words[1]) : 0;
  for (long record = 0; record < records; record++) {
    /* Volatile, or the compiler leaves out what is not used. */
    void *volatile a = malloc(16);
    void *volatile b = calloc(1, 16);
    void *volatile c = realloc(NULL, 16);
    void *volatile d = aligned_alloc(64, 64);
    void *e = NULL;
    if (posix_memalign(&e, 64, 64) != 0) return 1;
    free(a);
    free(b);
    free(c);
    free(d);
    free(e);
  }
  return 0;
}
