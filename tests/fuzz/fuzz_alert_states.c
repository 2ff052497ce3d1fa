/*
 * The file in which states of alerts outlive a restart: whatever stands there, it is refused whole
 * or taken, the next evaluation goes on from it, and what is saved then can be restored. The right
 * checksum is put behind the input, or the rest would never be looked at.
 */
#include "agent/rules/engine.h"

#include <stdlib.h>

#define SAVED_MAX (1U << 20)
#define MINUTE_MS 60000
#define NOW_MS    1700000000000
#define RULES                                                                                      \
    "groups: [{name: g, rules: [{alert: A, expr: x > 1, for: 5m, keep_firing_for: 2m},"            \
    " {alert: B, expr: vector(1), for: 1m, labels: {severity: page}}]}]"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* FNV-1a, as engine_save.c has it. */
static void put_checksum(struct tly_buf *buf)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < buf->len; i++) {
        hash = (hash ^ (unsigned char)buf->at[i]) * 0x100000001b3U;
    }
    insist(tly_buf_printf(buf, "%016llx\n", (unsigned long long)hash) == 0);
}

static struct tly_engine *start(void)
{
    static struct tly_complaints complaints;
    static const struct tly_engine_spec spec = {
        .history_bytes_max = 1 << 20,
        .alerts_max = 100,
        .interval_ms = MINUTE_MS,
        .resend_delay_ms = MINUTE_MS,
        .outage_tolerance_ms = 60L * MINUTE_MS,
        .grace_period_ms = 10L * MINUTE_MS,
    };
    struct tly_rule_file *file = NULL;
    insist(tly_rule_file_parse(TLY_TEXT(RULES), "f.yml", &complaints, &file) == 0);
    struct tly_rule_set *set = tly_rule_set_new();
    insist(set != NULL && tly_rule_set_add(set, file) == 0);
    struct tly_engine *engine = tly_engine_new(&spec);
    insist(engine != NULL && tly_engine_load(engine, set) == 0);
    tly_rule_set_unref(set);
    return engine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_error err;
    struct tly_buf buf;
    if (size > SAVED_MAX / 2) {
        return 0;
    }
    tly_buf_init(&buf, SAVED_MAX);
    insist(tly_buf_append(&buf, (const char *)data, size) == 0);
    put_checksum(&buf);
    struct tly_engine *engine = start();
    if (tly_engine_restore(engine, tly_buf_text(&buf), &err) == 0) {
        struct tly_verdict *verdict = NULL;
        for (int64_t turn = 0; turn < 3; turn++) {
            insist(tly_engine_evaluate(engine, NOW_MS + turn * MINUTE_MS, true, &verdict) == 0);
            tly_verdict_unref(verdict);
        }
        tly_buf_clear(&buf);
        insist(tly_engine_save(engine, NOW_MS + 3L * MINUTE_MS, &buf) == 0);
        insist(tly_engine_restore(engine, tly_buf_text(&buf), &err) == 0);
    }
    tly_engine_free(engine);
    tly_buf_done(&buf);
    return 0;
}
