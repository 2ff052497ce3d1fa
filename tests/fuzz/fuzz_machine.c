/*
 * The parsers of the host's and the processes' files on the same bytes: none may read past the end,
 * go on for ever, or find a negative number.
 */
#include "agent/codec/machine.h"
#include "agent/codec/task.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

static void host(struct tly_text text)
{
    struct tly_cpu_times times;
    struct tly_disk disk;
    int64_t number = 0;
    for (struct tly_text rest = text; tly_cpu_times_next(&rest, &times);) {
        must(times.cpu >= -1 && times.ticks[TLY_CPU_USER] >= -1);
    }
    for (struct tly_text rest = text; tly_disk_next(&rest, &disk);) {
        must(disk.name.len > 0 && disk.reads >= 0 && disk.weighted_ms >= 0);
    }
    must(tly_meminfo_bytes(text, TLY_TEXT("MemTotal")) >= -1);
    must(tly_cpu_list_count(text, &number) < 0 || number > 0);
    must(tly_cache_size_parse(text, &number) < 0 || number >= 0);
    must(tly_process_start_parse(text, &number) <= 0);
}

static void task(struct tly_text text)
{
    struct tly_task_schedule schedule;
    struct tly_task_limit limit;
    char state = 0;
    must(tly_task_state_parse(text, &state) <= 0);
    must(tly_task_schedule_parse(text, &schedule) < 0 || schedule.wait_ns >= 0);
    for (struct tly_text rest = text; tly_task_limit_next(&rest, &limit);) {
        must(limit.name.len > 0 && limit.soft >= TLY_TASK_UNLIMITED);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of just this size, so that the sanitizer sees a read past the end. */
    char *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    host((struct tly_text){copy, size});
    task((struct tly_text){copy, size});
    free(copy);
    return 0;
}
