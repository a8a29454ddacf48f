#include <librdkafka/rdkafka.h>
// The cluster in memory, for tests.
#include <librdkafka/rdkafka_mock.h>
