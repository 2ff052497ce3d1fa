/*
 * Sends numbered records by the real sender, for receivers that are other programs.
 *
 * usage: send_records CONFIGURATION COUNT   (the configuration as YAML text)
 *
 * Exits with 0 once every record is acknowledged, with 1 if that takes longer than SECONDS_MAX.
 */
#include "agent/codec/record.h"
#include "agent/delivery/delivery.h"
#include "agent/loop/loop.h"
#include "outputs/forward/sender.h"

#include <stdio.h>
#include <stdlib.h>

#define SECONDS_MAX      8
#define RECORD_BYTES_MAX 256

static struct tly_loop *loop;

static void stopped(void *arg)
{
    (void)arg;
    tly_loop_stop(loop);
}

static int emit(struct tly_delivery *delivery, int number)
{
    struct tly_buf record;
    char text[RECORD_BYTES_MAX / 2];
    (void)snprintf(text, sizeof(text), "line %d", number);
    tly_buf_init(&record, RECORD_BYTES_MAX);
    int rc = tly_record_array(&record, 2);
    rc = rc < 0 ? rc : tly_record_time(&record, number);
    rc = rc < 0 ? rc : tly_record_map(&record, 1);
    rc = rc < 0 ? rc : tly_record_str(&record, TLY_TEXT("log"));
    rc = rc < 0 ? rc : tly_record_str(&record, tly_text_of(text));
    if (rc == 0) {
        tly_delivery_emit(delivery, TLY_TEXT("tag"), tly_buf_text(&record));
    }
    tly_buf_done(&record);
    return rc;
}

static int send_all(struct tly_delivery *delivery, int count)
{
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = emit(delivery, i);
        if (i % (count / 4 + 1) == 0) {
            tly_delivery_flush(delivery); /* several chunks */
        }
    }
    tly_delivery_flush(delivery);
    return rc;
}

static int run(const struct tly_forward_settings *settings, int count, struct tly_error *err)
{
    struct tly_delivery *delivery = NULL;
    struct tly_forward_sender *sender = NULL;
    struct tly_destination_counts counts = {0};
    int rc = tly_loop_new(&loop);
    rc = rc < 0 ? rc : tly_delivery_new(loop, -1, &delivery, err);
    rc = rc < 0 ? rc : tly_forward_sender_new(loop, delivery, NULL, settings, NULL, &sender, err);
    if (rc < 0) {
        return rc;
    }
    tly_forward_sender_begin(sender);
    rc = send_all(delivery, count);
    if (rc < 0) {
        return rc;
    }
    tly_forward_sender_stop(sender, tly_loop_now_ms(loop) + SECONDS_MAX * 1000, stopped, NULL);
    tly_loop_run(loop);
    tly_destination_counts(tly_delivery_at(delivery, 0), &counts);
    tly_forward_sender_free(sender);
    tly_delivery_free(delivery);
    tly_loop_free(loop);
    return counts.records_acked == (uint64_t)count ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct tly_section *const sections[] = {&tly_forward_section};
    struct tly_complaints complaints;
    struct tly_config *config;
    struct tly_error err = {0};
    if (argc != 3) {
        return 2;
    }
    if (tly_config_parse(sections, 1, argv[1], strlen(argv[1]), &complaints, &config) < 0) {
        (void)fprintf(stderr, "%s\n", complaints.at[0].text);
        return 2;
    }
    const struct tly_list *list = tly_config_section(config, &tly_forward_section);
    int rc = run(list->at, (int)strtol(argv[2], NULL, 10), &err);
    if (rc < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    tly_config_free(config);
    return rc < 0 ? 2 : rc;
}
