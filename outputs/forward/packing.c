/*
 * One job for a worker: a copy goes in, a compressed one comes out. The job belongs to the worker
 * until it is done, and frees itself then.
 */
#include "outputs/forward/packing.h"

#include <errno.h>
#include <stdlib.h>

/* More than either format needs for what can't be made smaller. */
#define PACKED_BYTES_MAX(len) ((len) + (len) / 8 + 4096)

struct tly_forward_packing {
    enum tly_forward_compression compression;
    struct tly_buf plain, packed;
    int code;
    void (*done)(void *arg, int code, struct tly_buf *packed); /* NULL: forgotten */
    void *arg;
};

static void packing_free(struct tly_forward_packing *packing)
{
    tly_buf_done(&packing->plain);
    tly_buf_done(&packing->packed);
    free(packing);
}

static void pack(void *arg)
{
    struct tly_forward_packing *packing = arg;
    packing->code = tly_forward_pack(packing->compression, tly_buf_text(&packing->plain),
                                     &packing->packed);
}

static void pack_done(void *arg)
{
    struct tly_forward_packing *packing = arg;
    if (packing->done) {
        packing->done(packing->arg, packing->code, &packing->packed);
    }
    packing_free(packing);
}

int tly_forward_packing_start(struct tly_loop *loop, enum tly_forward_compression compression,
                              struct tly_text plain,
                              void (*done)(void *arg, int code, struct tly_buf *packed), void *arg,
                              struct tly_forward_packing **ret_packing)
{
    struct tly_forward_packing *packing = calloc(1, sizeof(*packing));
    if (!packing) {
        return -ENOMEM;
    }
    packing->compression = compression;
    packing->done = done;
    packing->arg = arg;
    tly_buf_init(&packing->plain, plain.len);
    tly_buf_init(&packing->packed, PACKED_BYTES_MAX(plain.len));
    int rc = tly_buf_append_text(&packing->plain, plain);
    rc = rc < 0 ? rc : tly_worker_submit(loop, pack, pack_done, packing);
    if (rc < 0) {
        packing_free(packing);
        return rc;
    }
    *ret_packing = packing;
    return 0;
}

void tly_forward_packing_forget(struct tly_forward_packing *packing)
{
    if (packing) {
        packing->done = NULL;
    }
}
