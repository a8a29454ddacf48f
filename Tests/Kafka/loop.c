// Copies each message of a topic to the partition of the same number of another one, with key, timestamp and headers:
// the least that a program between two topics does with librdkafka. The settings are those of Evenkeel.
//
// Usage: loop BROKER FROM TO PARTITIONS RECEIVE_BYTES; ends when it is killed.

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

enum { batch = 512 };

static rd_kafka_t *client(rd_kafka_type_t kind, const char *pairs[][2], size_t count) {
  char reason[512];
  rd_kafka_conf_t *configuration = rd_kafka_conf_new();
  for (size_t index = 0; index < count; index++) {
    if (rd_kafka_conf_set(configuration, pairs[index][0], pairs[index][1], reason, sizeof reason) !=
        RD_KAFKA_CONF_OK) {
      fprintf(stderr, "%s\n", reason);
      exit(1);
    }
  }
  rd_kafka_t *made = rd_kafka_new(kind, configuration, reason, sizeof reason);
  if (made == NULL) {
    fprintf(stderr, "%s\n", reason);
    exit(1);
  }
  return made;
}

int main(int count, char **arguments) {
  if (count != 6) return 64;
  const char *in[][2] = {
      {"bootstrap.servers", arguments[1]}, {"auto.offset.reset", "error"},
      {"enable.auto.commit", "false"}, {"isolation.level", "read_committed"},
      {"queued.max.messages.kbytes", "16384"}, {"fetch.max.bytes", "8388608"},
      {"receive.message.max.bytes", arguments[5]}};
  const char *out[][2] = {
      {"bootstrap.servers", arguments[1]}, {"enable.idempotence", "true"}, {"acks", "all"},
      {"queue.buffering.max.messages", "10000000"}, {"queue.buffering.max.kbytes", "16384"}};
  rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, in, sizeof in / sizeof *in);
  rd_kafka_t *producer = client(RD_KAFKA_PRODUCER, out, sizeof out / sizeof *out);
  rd_kafka_topic_t *from = rd_kafka_topic_new(consumer, arguments[2], NULL);
  rd_kafka_topic_t *to = rd_kafka_topic_new(producer, arguments[3], NULL);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
  for (int partition = 0; partition < atoi(arguments[4]); partition++) {
    rd_kafka_consume_start_queue(from, partition, 0, queue);
  }
  rd_kafka_message_t *messages[batch];
  for (;;) {
    ssize_t found = rd_kafka_consume_batch_queue(queue, 100, messages, batch);
    for (ssize_t index = 0; index < found; index++) {
      rd_kafka_message_t *message = messages[index];
      while (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_t *known = NULL;
        rd_kafka_message_headers(message, &known);
        rd_kafka_headers_t *headers = known != NULL ? rd_kafka_headers_copy(known) : rd_kafka_headers_new(1);
        char place[64];
        int length = snprintf(place, sizeof place, "%d/%lld", message->partition, (long long)message->offset);
        rd_kafka_header_add(headers, "ek-src", -1, place, length);
        rd_kafka_resp_err_t error = rd_kafka_producev(
            producer, RD_KAFKA_V_RKT(to), RD_KAFKA_V_PARTITION(message->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(message->payload, message->len),
            RD_KAFKA_V_KEY(message->key, message->key_len),
            RD_KAFKA_V_TIMESTAMP(rd_kafka_message_timestamp(message, NULL)), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_END);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
        rd_kafka_headers_destroy(headers);
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
          fprintf(stderr, "%s\n", rd_kafka_err2str(error));
          return 1;
        }
        rd_kafka_poll(producer, 10);
      }
      rd_kafka_message_destroy(message);
    }
    rd_kafka_poll(producer, 0);
  }
}
