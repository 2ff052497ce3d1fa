/*
 * Checking passwords. A job is one pair of name and password with all requests that wait for it;
 * its digest is keyed with random bytes of this process, so that what is remembered helps nobody
 * who reads our memory later. Names and passwords are wiped when the job is done.
 */
#include "agent/web/auth.h"

#include "agent/base/random.h"
#include "agent/codec/basic_auth.h"

#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define DIGEST_LEN 32
#define KEY_LEN    32
/* What was right and what was wrong are kept apart, so that guesses can't push out a scraper. */
#define REMEMBERED 64
/* Requests that wait for one job: more than a scraper has connections. */
#define WAITERS_MAX 64

struct digest {
    unsigned char bytes[DIGEST_LEN];
};

struct memory {
    struct digest at[REMEMBERED];
    size_t count, next;
};

struct waiter {
    void (*decided)(void *arg, bool ok);
    void *arg;
};

struct job {
    TAILQ_ENTRY(job) link;
    struct tly_web_auth *auth;
    struct digest digest;
    bool known; /* the name is a user's */
    char peer[TLY_AUTH_PEER_LEN];
    size_t peer_len; /* who asked first */
    char hash[TLY_BCRYPT_LEN + 1];
    char password[TLY_BASIC_AUTH_BYTES_MAX + 1];
    struct waiter waiters[WAITERS_MAX];
    size_t waiter_count;
    struct crypt_data crypt; /* the worker's, and what follows */
    bool same;
};

struct tly_web_auth {
    struct tly_loop *loop;
    unsigned char key[KEY_LEN];
    struct memory right, wrong;
    TAILQ_HEAD(, job) jobs; /* the first may be on a worker */
    size_t count;
    bool working;
    bool freed; /* by its owner; the worker's job is the last to let go */
};

/* ---- memory ---- */

static bool remembers(const struct memory *memory, const struct digest *digest)
{
    bool found = false;
    for (size_t i = 0; i < memory->count; i++) {
        found = gnutls_memcmp(memory->at[i].bytes, digest->bytes, DIGEST_LEN) == 0 || found;
    }
    return found;
}

static void remember(struct memory *memory, const struct digest *digest)
{
    memory->at[memory->next] = *digest;
    memory->next = (memory->next + 1) % REMEMBERED;
    memory->count += memory->count < REMEMBERED ? 1 : 0;
}

/* Of the user, the hash and the password, each with its end: "a", "bc" is not "ab", "c". */
static int digest_make(const struct tly_web_auth *auth, const struct tly_basic_auth *given,
                       const char *hash, struct digest *ret_digest)
{
    gnutls_hmac_hd_t hmac;
    if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, auth->key, KEY_LEN) < 0) {
        return -ENOMEM;
    }
    int code = gnutls_hmac(hmac, given->user, strlen(given->user) + 1);
    code = code < 0 ? code : gnutls_hmac(hmac, hash, strlen(hash) + 1);
    code = code < 0 ? code : gnutls_hmac(hmac, given->password, strlen(given->password) + 1);
    gnutls_hmac_deinit(hmac, ret_digest->bytes);
    return code < 0 ? -ENOMEM : 0;
}

/* ---- jobs ---- */

static void job_free(struct job *job)
{
    explicit_bzero(job, sizeof(*job));
    free(job);
}

static void job_tell(struct job *job, bool ok)
{
    size_t count = job->waiter_count;
    job->waiter_count = 0;
    for (size_t i = 0; i < count; i++) {
        job->waiters[i].decided(job->waiters[i].arg, ok);
    }
}

static void auth_destroy(struct tly_web_auth *auth)
{
    struct job *job;
    while ((job = TAILQ_FIRST(&auth->jobs)) != NULL) {
        TAILQ_REMOVE(&auth->jobs, job, link);
        job_free(job);
    }
    explicit_bzero(auth->key, KEY_LEN);
    free(auth);
}

/* On a worker. */
static void job_work(void *arg)
{
    struct job *job = arg;
    /* Not crypt_r, which a sanitizer's runtime takes the place of, without libcrypt behind it. */
    const char *result = crypt_rn(job->password, job->hash, &job->crypt, sizeof(job->crypt));
    job->same = result != NULL && strlen(result) == TLY_BCRYPT_LEN &&
                gnutls_memcmp(result, job->hash, TLY_BCRYPT_LEN) == 0;
}

static void work_off(struct tly_web_auth *auth);

static void job_done(void *arg)
{
    struct job *job = arg;
    struct tly_web_auth *auth = job->auth;
    auth->working = false;
    if (auth->freed) {
        auth_destroy(auth); /* the job with it */
        return;
    }
    bool ok = job->same && job->known;
    TAILQ_REMOVE(&auth->jobs, job, link);
    auth->count--;
    remember(ok ? &auth->right : &auth->wrong, &job->digest);
    job_tell(job, ok);
    job_free(job);
    work_off(auth);
}

static void work_off(struct tly_web_auth *auth)
{
    struct job *job;
    while (!auth->working && (job = TAILQ_FIRST(&auth->jobs)) != NULL) {
        if (tly_worker_submit(auth->loop, job_work, job_done, job) == 0) {
            auth->working = true;
            return;
        }
        /* No memory: the answer is no, and not remembered. */
        TAILQ_REMOVE(&auth->jobs, job, link);
        auth->count--;
        job_tell(job, false);
        job_free(job);
    }
}

static struct job *job_find(struct tly_web_auth *auth, const struct digest *digest)
{
    struct job *job;
    TAILQ_FOREACH(job, &auth->jobs, link)
    {
        if (gnutls_memcmp(job->digest.bytes, digest->bytes, DIGEST_LEN) == 0) {
            return job;
        }
    }
    return NULL;
}

/* Whether there is room for one more of this peer. */
static bool room(const struct tly_web_auth *auth, struct tly_text peer)
{
    size_t count = 0;
    const struct job *job;
    TAILQ_FOREACH(job, &auth->jobs, link)
    {
        count += tly_text_equal((struct tly_text){job->peer, job->peer_len}, peer);
    }
    return auth->count < TLY_AUTH_QUEUE_MAX && (peer.len == 0 || count < TLY_AUTH_PEER_MAX);
}

static struct job *job_new(struct tly_web_auth *auth, const struct tly_basic_auth *given,
                           const char *hash, bool known, const struct digest *digest)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job != NULL) {
        job->auth = auth;
        job->known = known;
        job->digest = *digest;
        memcpy(job->hash, hash, sizeof(job->hash));
        memcpy(job->password, given->password, sizeof(job->password));
        TAILQ_INSERT_TAIL(&auth->jobs, job, link);
        auth->count++;
    }
    return job;
}

/* ---- checking ---- */

/* The user's hash, or the one that nothing matches. Every name is compared, found or not. */
static const char *hash_of(const struct tly_web_policy *policy, const char *user, bool *ret_known)
{
    const char *hash = policy->dummy_hash;
    for (size_t i = 0; i < policy->users->count; i++) {
        if (strcmp(policy->users->at[i].name, user) == 0) {
            hash = policy->users->at[i].value;
        }
    }
    *ret_known = hash != policy->dummy_hash;
    return hash;
}

static enum tly_web_verdict check(struct tly_web_auth *auth, const struct tly_web_policy *policy,
                                  struct tly_text peer, const struct tly_basic_auth *given,
                                  struct waiter waiter)
{
    bool known;
    struct digest digest;
    const char *hash = hash_of(policy, given->user, &known);
    if (digest_make(auth, given, hash, &digest) < 0) {
        return TLY_WEB_BUSY;
    }
    if (remembers(&auth->right, &digest)) {
        return TLY_WEB_YES;
    }
    if (remembers(&auth->wrong, &digest)) {
        return TLY_WEB_NO;
    }
    struct job *job = job_find(auth, &digest);
    if (job == NULL && room(auth, peer)) {
        job = job_new(auth, given, hash, known, &digest);
        if (job != NULL && peer.len > 0 && peer.len <= TLY_AUTH_PEER_LEN) {
            memcpy(job->peer, peer.at, peer.len);
            job->peer_len = peer.len;
        }
    }
    if (job == NULL || job->waiter_count == WAITERS_MAX) {
        return TLY_WEB_BUSY;
    }
    if (!auth->working) {
        if (tly_worker_submit(auth->loop, job_work, job_done, job) < 0) {
            TAILQ_REMOVE(&auth->jobs, job, link);
            auth->count--;
            job_free(job);
            return TLY_WEB_BUSY;
        }
        auth->working = true;
    }
    job->waiters[job->waiter_count++] = waiter;
    return TLY_WEB_LATER;
}

enum tly_web_verdict tly_web_auth_check(struct tly_web_auth *auth,
                                        const struct tly_web_policy *policy, struct tly_text peer,
                                        struct tly_text authorization,
                                        void (*decided)(void *arg, bool ok), void *arg)
{
    struct tly_basic_auth given;
    if (tly_basic_auth_parse(authorization, &given) < 0) {
        return TLY_WEB_NO;
    }
    enum tly_web_verdict verdict = check(auth, policy, peer, &given, (struct waiter){decided, arg});
    tly_basic_auth_wipe(&given);
    return verdict;
}

size_t tly_web_auth_pending(const struct tly_web_auth *auth)
{
    return auth->count;
}

/* ---- life ---- */

int tly_web_auth_new(struct tly_loop *loop, struct tly_web_auth **ret_auth)
{
    struct tly_web_auth *auth = calloc(1, sizeof(*auth));
    if (auth == NULL) {
        return -ENOMEM;
    }
    auth->loop = loop;
    tly_random_fill(auth->key, KEY_LEN);
    TAILQ_INIT(&auth->jobs);
    *ret_auth = auth;
    return 0;
}

void tly_web_auth_free(struct tly_web_auth *auth)
{
    if (auth == NULL) {
        return;
    }
    auth->freed = true;
    struct job *job;
    TAILQ_FOREACH(job, &auth->jobs, link)
    {
        job_tell(job, false);
    }
    if (!auth->working) {
        auth_destroy(auth);
    }
}
