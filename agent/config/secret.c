/*
 * Secrets from files. A file that others may read is refused rather than warned about: a warning at
 * start is read by nobody, and the password is known by then.
 */
#include "agent/config/secret.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static int check_mode(const struct stat *status, struct tly_error *err)
{
    if (status->st_mode & (S_IROTH | S_IWOTH)) {
        return tly_error_set(err, -EPERM,
                             "everyone may read or write it (mode %04o); take that away by "
                             "`chmod o=`",
                             (unsigned)(status->st_mode & 07777));
    }
    return 0;
}

static int check_file(int fd, struct tly_error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return tly_error_set(err, -errno, "%s", tly_error_name(-errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return tly_error_set(err, -EINVAL, "it is not a regular file");
    }
    return check_mode(&status, err);
}

int tly_secret_check(const char *path, struct tly_error *err)
{
    struct stat status;
    if (path == NULL || stat(path, &status) < 0 || !S_ISREG(status.st_mode)) {
        return 0;
    }
    int rc = check_mode(&status, err);
    if (rc < 0) {
        tly_error_prefix(err, "%s", path);
    }
    return rc;
}

static int take_text(struct tly_buf *buf, char **ret_secret, struct tly_error *err)
{
    struct tly_text text = tly_buf_text(buf);
    if (tly_text_ends(text, TLY_TEXT("\n"))) {
        text.len--;
    }
    if (tly_text_ends(text, TLY_TEXT("\r"))) {
        text.len--;
    }
    if (text.len == 0) {
        return tly_error_set(err, TLY_E_MALFORMED, "it is empty");
    }
    if (memchr(text.at, '\0', text.len)) {
        return tly_error_set(err, TLY_E_MALFORMED, "it holds a NUL character");
    }
    char *secret = tly_text_dup(text);
    if (!secret) {
        return tly_error_set(err, -ENOMEM, "%s", tly_error_name(-ENOMEM));
    }
    *ret_secret = secret;
    return 0;
}

int tly_secret_read(const char *path, char **ret_secret, struct tly_error *err)
{
    TLY_AUTO_FD fd = -1;
    /* O_NONBLOCK: a FIFO without a writer must not hang the start. */
    int rc = tly_file_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, &fd);
    if (rc < 0) {
        return tly_error_set(err, rc, "%s", tly_error_name(rc));
    }
    rc = check_file(fd, err);
    if (rc < 0) {
        return rc;
    }
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_SECRET_BYTES_MAX);
    /* All at once: growing would leave copies behind that nobody wipes. */
    char *room = NULL;
    rc = tly_buf_reserve(&buf, TLY_SECRET_BYTES_MAX, &room);
    if (rc == 0) {
        rc = tly_file_read_fd(fd, &buf);
    }
    if (rc < 0) {
        (void)tly_error_set(err, rc, "%s", tly_error_name(rc)); /* rc is returned below */
    } else {
        rc = take_text(&buf, ret_secret, err);
    }
    if (buf.at) {
        explicit_bzero(buf.at, buf.cap);
    }
    tly_buf_done(&buf);
    return rc;
}

void tly_secret_free(char *secret)
{
    if (secret) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
}
