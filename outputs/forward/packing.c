/*
 * Jobs for a worker. While it works, the packing belongs to the worker, and what it reads is
 * borrowed from whoever asked: who will not wait for the end takes it back, which costs a few
 * milliseconds at most if the worker is at it, and nothing if it has not begun. The buffer stays
 * for the next job, so that it is not made of fresh pages each time.
 */
#include "outputs/forward/packing.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* More than either format needs for what can't be made smaller. */
#define PACKED_BYTES_MAX(len) ((len) + (len) / 8 + 4096)

enum { WAITS, WORKS, DONE, TAKEN_BACK };

struct tly_forward_packing {
    struct tly_forward_packer *packer;
    struct tly_text plain;
    struct tly_buf packed;
    int code;
    _Atomic int job; /* between the worker and the loop */
    bool busy, forgotten;
    void (*done)(void *arg, int code, struct tly_text packed);
    void *arg;
};

int tly_forward_packing_new(enum tly_forward_compression compression,
                            struct tly_forward_packing **ret_packing)
{
    struct tly_forward_packing *packing = calloc(1, sizeof(*packing));
    int rc = packing ? tly_forward_packer_new(compression, &packing->packer) : -ENOMEM;
    if (rc < 0) {
        free(packing);
        return rc;
    }
    *ret_packing = packing;
    return 0;
}

/* From here on nobody reads what was borrowed. */
static void take_back(struct tly_forward_packing *packing)
{
    int job = WAITS;
    if (!atomic_compare_exchange_strong(&packing->job, &job, TAKEN_BACK)) {
        while (atomic_load(&packing->job) == WORKS) {
            (void)sched_yield(); /* always 0 */
        }
    }
}

void tly_forward_packing_free(struct tly_forward_packing *packing)
{
    if (!packing) {
        return;
    }
    if (packing->busy) {
        packing->forgotten = true;
        take_back(packing);
        return;
    }
    tly_forward_packer_free(packing->packer);
    tly_buf_done(&packing->packed);
    free(packing);
}

bool tly_forward_packing_busy(const struct tly_forward_packing *packing)
{
    return packing->busy;
}

static void pack(void *arg)
{
    struct tly_forward_packing *packing = arg;
    int job = WAITS;
    if (atomic_compare_exchange_strong(&packing->job, &job, WORKS)) {
        packing->code = tly_forward_pack(packing->packer, packing->plain, &packing->packed);
        atomic_store(&packing->job, DONE);
    }
}

static void pack_done(void *arg)
{
    struct tly_forward_packing *packing = arg;
    packing->busy = false;
    if (packing->forgotten) {
        tly_forward_packing_free(packing);
    } else {
        packing->done(packing->arg, packing->code, tly_buf_text(&packing->packed));
    }
}

int tly_forward_packing_start(struct tly_forward_packing *packing, struct tly_loop *loop,
                              struct tly_text plain,
                              void (*done)(void *arg, int code, struct tly_text packed), void *arg)
{
    packing->done = done;
    packing->arg = arg;
    packing->plain = plain;
    tly_buf_clear(&packing->packed);
    packing->packed.max = PACKED_BYTES_MAX(plain.len);
    atomic_store(&packing->job, WAITS);
    int rc = tly_worker_submit(loop, pack, pack_done, packing);
    packing->busy = rc == 0;
    return rc;
}
