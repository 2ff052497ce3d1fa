/*
 * Certificates, keys and trust. The files are compared by their stamps before every handshake, so
 * that a renewed certificate is used by the next connection without a signal or a restart; watching
 * them would miss what is mounted or swapped in by a symbolic link.
 */
#include "agent/loop/tls.h"

#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "agent/loop/tls_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WHO "tls"

/* A bundle of all authorities that the system trusts has 220 KB. */
#define PEM_BYTES_MAX (4UL * 1024 * 1024)
#define KEY_BYTES_MAX (64UL * 1024)

static const char *const roles[] = {"authorities", "certificate", "key"};
enum { FILE_CA, FILE_CERT, FILE_KEY, FILES };

static const char *file_of(const struct tly_tls_spec *spec, int which)
{
    return which == FILE_CA ? spec->ca_file : which == FILE_CERT ? spec->cert_file : spec->key_file;
}

static struct tly_tls_stamp stamp_of(const struct stat *status)
{
    return (struct tly_tls_stamp){
        .mtime_ns = status->st_mtim.tv_sec * 1000000000LL + status->st_mtim.tv_nsec,
        .ctime_ns = status->st_ctim.tv_sec * 1000000000LL + status->st_ctim.tv_nsec,
        .inode = status->st_ino,
        .size = (uint64_t)status->st_size,
    };
}

static void take_stamps(const struct tly_tls_spec *spec, struct tly_tls_stamp stamps[FILES])
{
    for (int i = 0; i < FILES; i++) {
        struct stat status;
        const char *path = file_of(spec, i);
        bool there = path && stat(path, &status) == 0;
        stamps[i] = there ? stamp_of(&status) : (struct tly_tls_stamp){.mtime_ns = -1};
    }
}

static bool same_stamp(const struct tly_tls_stamp *a, const struct tly_tls_stamp *b)
{
    return a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->inode == b->inode &&
           a->size == b->size;
}

/* ---- loading ---- */

/* A key that others may read is no secret any more; refused, like every secret of the
 * configuration. */
static int check_key(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    return status.st_mode & (S_IROTH | S_IWOTH) ? -EPERM : 0;
}

static int read_pem(const struct tly_tls_spec *spec, int which, struct tly_buf *pem,
                    struct tly_error *err)
{
    const char *path = file_of(spec, which);
    TLY_AUTO_FD fd = -1;
    /* O_NONBLOCK: a FIFO without a writer must not hang the loop. */
    int rc = tly_file_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, &fd);
    if (rc == 0 && which == FILE_KEY) {
        rc = check_key(fd);
        if (rc == -EPERM) {
            return tly_error_set(err, rc,
                                 "the %s %s may be read or written by everyone; take that away by "
                                 "`chmod o=`",
                                 roles[which], path);
        }
    }
    rc = rc < 0 ? rc : tly_file_read_fd(fd, pem);
    if (rc < 0) {
        return tly_error_set(err, rc, "the %s %s: %s", roles[which], path, tly_error_name(rc));
    }
    return 0;
}

/* A buffer for a key has its room from the start: growing would leave copies that nobody wipes. */
static int key_buf_init(struct tly_buf *buf)
{
    char *room;
    tly_buf_init(buf, KEY_BYTES_MAX);
    return tly_buf_reserve(buf, KEY_BYTES_MAX, &room);
}

static void key_buf_done(struct tly_buf *buf)
{
    if (buf->at) {
        explicit_bzero(buf->at, buf->cap);
    }
    tly_buf_done(buf);
}

/* GnuTLS takes lengths as unsigned int and bytes without const; the maximum fits. */
static gnutls_datum_t datum_of(const struct tly_buf *buf)
{
    return (gnutls_datum_t){.data = (unsigned char *)buf->at, .size = (unsigned)buf->len};
}

static int load_trust(const struct tly_tls_spec *spec, gnutls_certificate_credentials_t handle,
                      struct tly_error *err)
{
    if (!spec->ca_file) {
        if (spec->server || spec->skip_verify) {
            return 0;
        }
        int count = gnutls_certificate_set_x509_system_trust(handle);
        return count > 0 ? 0
                         : tly_error_set(err, -ENOENT,
                                         "this system trusts no authority; name a file of those "
                                         "that are to be trusted, or install ca-certificates");
    }
    struct tly_buf pem;
    tly_buf_init(&pem, PEM_BYTES_MAX);
    int rc = read_pem(spec, FILE_CA, &pem, err);
    if (rc == 0) {
        const gnutls_datum_t datum = datum_of(&pem);
        int count = gnutls_certificate_set_x509_trust_mem(handle, &datum, GNUTLS_X509_FMT_PEM);
        if (count <= 0) {
            rc = tly_error_set(err, TLY_E_MALFORMED, "%s holds no certificate in PEM form%s%s",
                               spec->ca_file, count < 0 ? ": " : "",
                               count < 0 ? gnutls_strerror_name(count) : "");
        }
    }
    tly_buf_done(&pem);
    return rc;
}

static int load_pair(const struct tly_tls_spec *spec, gnutls_certificate_credentials_t handle,
                     struct tly_error *err)
{
    if (!spec->cert_file) {
        return 0;
    }
    struct tly_buf cert;
    struct tly_buf key;
    tly_buf_init(&cert, PEM_BYTES_MAX);
    int rc = key_buf_init(&key);
    if (rc < 0) {
        return tly_error_set(err, rc, "%s", tly_error_name(rc));
    }
    rc = read_pem(spec, FILE_CERT, &cert, err);
    rc = rc < 0 ? rc : read_pem(spec, FILE_KEY, &key, err);
    if (rc == 0) {
        const gnutls_datum_t cert_datum = datum_of(&cert);
        const gnutls_datum_t key_datum = datum_of(&key);
        int code = gnutls_certificate_set_x509_key_mem(handle, &cert_datum, &key_datum,
                                                       GNUTLS_X509_FMT_PEM);
        if (code < 0) {
            rc = tly_error_set(err, TLY_E_MALFORMED,
                               "the certificate %s and the key %s are of no use together: %s",
                               spec->cert_file, spec->key_file, gnutls_strerror_name(code));
        }
    }
    tly_buf_done(&cert);
    key_buf_done(&key);
    return rc;
}

static int load(const struct tly_tls_spec *spec, struct tly_tls_credentials **ret_credentials,
                struct tly_error *err)
{
    struct tly_tls_credentials *credentials = calloc(1, sizeof(*credentials));
    if (!credentials) {
        return tly_error_set(err, -ENOMEM, "%s", tly_error_name(-ENOMEM));
    }
    credentials->refs = 1;
    int rc = 0;
    if (gnutls_certificate_allocate_credentials(&credentials->handle) < 0) {
        rc = tly_error_set(err, -ENOMEM, "%s", tly_error_name(-ENOMEM));
    }
    rc = rc < 0 ? rc : load_trust(spec, credentials->handle, err);
    rc = rc < 0 ? rc : load_pair(spec, credentials->handle, err);
    if (rc < 0) {
        tly_tls_credentials_unref(credentials);
        return rc;
    }
    *ret_credentials = credentials;
    return 0;
}

void tly_tls_credentials_unref(struct tly_tls_credentials *credentials)
{
    if (credentials && --credentials->refs == 0) {
        if (credentials->handle) {
            gnutls_certificate_free_credentials(credentials->handle);
        }
        free(credentials);
    }
}

struct tly_tls_credentials *tly_tls_current(struct tly_tls *tls)
{
    struct tly_tls_stamp now[FILES];
    bool changed = false;
    take_stamps(&tls->spec, now);
    for (int i = 0; i < FILES; i++) {
        changed = changed || !same_stamp(&now[i], &tls->stamps[i]);
    }
    if (changed) {
        struct tly_tls_credentials *fresh = NULL;
        struct tly_error err = {0};
        memcpy(tls->stamps, now, sizeof(now)); /* said once for each change */
        if (load(&tls->spec, &fresh, &err) < 0 || !fresh) {
            tly_log_warn(WHO, "%s; what was loaded before stays in use", err.text);
        } else {
            tly_tls_credentials_unref(tls->credentials);
            tls->credentials = fresh;
            tly_log_info(WHO, "loaded again: %s",
                         tls->spec.cert_file ? tls->spec.cert_file : tls->spec.ca_file);
        }
    }
    tls->credentials->refs++;
    return tls->credentials;
}

/* ---- life ---- */

static int copy_name(const char *name, const char **ret_copy)
{
    *ret_copy = NULL;
    if (!name || name[0] == '\0') {
        return 0;
    }
    *ret_copy = strdup(name);
    return *ret_copy ? 0 : -ENOMEM;
}

static int copy_spec(struct tly_tls_spec *to, const struct tly_tls_spec *from)
{
    *to = *from;
    int rc = copy_name(from->ca_file, &to->ca_file);
    int next = copy_name(from->cert_file, &to->cert_file);
    rc = rc < 0 ? rc : next;
    next = copy_name(from->key_file, &to->key_file);
    rc = rc < 0 ? rc : next;
    next = copy_name(from->server_name, &to->server_name);
    return rc < 0 ? rc : next;
}

static int check_spec(const struct tly_tls_spec *spec, struct tly_error *err)
{
    if (!spec->cert_file != !spec->key_file) {
        return tly_error_set(err, -EINVAL, "a certificate and its key go together: %s is missing",
                             spec->cert_file ? "the key" : "the certificate");
    }
    if (spec->server && !spec->cert_file) {
        return tly_error_set(err, -EINVAL, "a TLS server needs a certificate and its key");
    }
    return 0;
}

int tly_tls_new(const struct tly_tls_spec *spec, struct tly_tls **ret_tls, struct tly_error *err)
{
    struct tly_tls *tls = calloc(1, sizeof(*tls));
    if (!tls) {
        return tly_error_set(err, -ENOMEM, "%s", tly_error_name(-ENOMEM));
    }
    int rc = copy_spec(&tls->spec, spec);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "%s", tly_error_name(rc)); /* rc is returned below */
    }
    rc = rc < 0 ? rc : check_spec(&tls->spec, err);
    take_stamps(&tls->spec, tls->stamps);
    rc = rc < 0 ? rc : load(&tls->spec, &tls->credentials, err);
    if (rc < 0) {
        tly_tls_free(tls);
        return rc;
    }
    *ret_tls = tls;
    return 0;
}

/* The names are const for everyone but us. */
static void free_name(const char *name)
{
    union {
        const char *shown;
        char *ours;
    } at = {.shown = name};
    free(at.ours);
}

void tly_tls_free(struct tly_tls *tls)
{
    if (tls) {
        tly_tls_credentials_unref(tls->credentials);
        free_name(tls->spec.ca_file);
        free_name(tls->spec.cert_file);
        free_name(tls->spec.key_file);
        free_name(tls->spec.server_name);
        free(tls);
    }
}
