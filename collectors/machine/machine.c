/*
 * Who the machine is, and the reading of its small files. What they say is in use.c and topology.c.
 */
#include "collectors/machine/machine.h"

#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* /proc/stat takes 150 bytes for each CPU and has a line of all interrupts. */
#define FILE_BYTES_MAX (4U << 20)

TLY_PRINTF(3, 0)
static struct tly_text text_read(struct tly_machine *machine, const char *prefix,
                                 const char *format, va_list args)
{
    char path[PATH_MAX];
    int start = snprintf(path, sizeof(path), "%s/", prefix);
    int len = start >= (int)sizeof(path)
                  ? start
                  : start + vsnprintf(path + start, sizeof(path) - (size_t)start, format, args);
    tly_buf_clear(&machine->buf);
    machine->rc = len >= (int)sizeof(path) ? -ENAMETOOLONG
                                           : tly_file_read(AT_FDCWD, path, &machine->buf);
    if (machine->rc < 0) {
        return (struct tly_text){NULL, 0};
    }
    return tly_text_trim(tly_buf_text(&machine->buf));
}

struct tly_text tly_machine_text(struct tly_machine *machine, const char *prefix,
                                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct tly_text text = text_read(machine, prefix, format, args);
    va_end(args);
    return text;
}

int tly_machine_failure(const struct tly_machine *machine)
{
    return machine->rc < 0 ? machine->rc : -EIO;
}

int64_t tly_machine_number(struct tly_machine *machine, const char *prefix, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct tly_text text = text_read(machine, prefix, format, args);
    va_end(args);
    int64_t number = 0;
    return tly_text_i64(text, &number) < 0 || number < 0 ? -1 : number;
}

static void id_read(struct tly_machine *machine, const char *prefix, const char *name,
                    char to[TLY_MACHINE_ID_BYTES])
{
    struct tly_text text = tly_machine_text(machine, prefix, "%s", name);
    size_t len = text.len < TLY_MACHINE_ID_BYTES ? text.len : TLY_MACHINE_ID_BYTES - 1;
    if (len > 0) {
        memcpy(to, text.at, len);
    }
    to[len] = '\0';
}

void tly_machine_init(struct tly_machine *machine, const char *proc, const char *sys,
                      const char *etc)
{
    *machine = (struct tly_machine){.proc = proc, .sys = sys};
    tly_buf_init(&machine->buf, FILE_BYTES_MAX);
    id_read(machine, etc, "machine-id", machine->machine_id);
    id_read(machine, sys, "class/dmi/id/product_uuid", machine->system_uuid);
    id_read(machine, proc, "sys/kernel/random/boot_id", machine->boot_id);
}

void tly_machine_done(struct tly_machine *machine)
{
    tly_buf_done(&machine->buf);
    free(machine->cpus);
    machine->cpus = NULL;
    machine->cpu_count = 0;
}

#define IDS 3

uint16_t tly_machine_dim(const struct tly_machine *machine, struct tly_samples *samples,
                         const struct tly_machine_label *labels, size_t count)
{
    const char *const id_names[IDS] = {"machine_id", "system_uuid", "boot_id"};
    const char *const ids[IDS] = {machine->machine_id, machine->system_uuid, machine->boot_id};
    const char *names[IDS + TLY_MACHINE_LABELS_MAX];
    struct tly_text values[IDS + TLY_MACHINE_LABELS_MAX];
    size_t all = 0;
    for (size_t i = 0; i < IDS; i++) {
        if (ids[i][0] != '\0') {
            names[all] = id_names[i];
            values[all++] = tly_text_of(ids[i]);
        }
    }
    for (size_t i = 0; i < count && i < TLY_MACHINE_LABELS_MAX; i++) {
        names[all] = labels[i].name;
        values[all++] = labels[i].value;
    }
    return all == 0 ? TLY_DIM_NONE : tly_samples_dim(samples, names, values, all);
}
