/*
 * Jobs for a worker: a copy goes in, a compressed one comes out. While it works, the packing
 * belongs to the worker. Both buffers stay for the next job, so that neither is made of fresh pages
 * each time.
 */
#include "outputs/forward/packing.h"

#include <errno.h>
#include <stdlib.h>

/* More than either format needs for what can't be made smaller. */
#define PACKED_BYTES_MAX(len) ((len) + (len) / 8 + 4096)

struct tly_forward_packing {
    struct tly_forward_packer *packer;
    struct tly_buf plain, packed;
    int code;
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

void tly_forward_packing_free(struct tly_forward_packing *packing)
{
    if (!packing) {
        return;
    }
    if (packing->busy) {
        packing->forgotten = true;
        return;
    }
    tly_forward_packer_free(packing->packer);
    tly_buf_done(&packing->plain);
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
    packing->code = tly_forward_pack(packing->packer, tly_buf_text(&packing->plain),
                                     &packing->packed);
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
    tly_buf_clear(&packing->plain);
    tly_buf_clear(&packing->packed);
    packing->plain.max = plain.len;
    packing->packed.max = PACKED_BYTES_MAX(plain.len);
    int rc = tly_buf_append_text(&packing->plain, plain);
    rc = rc < 0 ? rc : tly_worker_submit(loop, pack, pack_done, packing);
    packing->busy = rc == 0;
    return rc;
}
