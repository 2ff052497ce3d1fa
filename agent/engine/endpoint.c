/*
 * From the settings to where the engine listens; see endpoint.h.
 */
#include "agent/engine/endpoint.h"

#include "agent/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The files of TLS: the settings' own, or else those that Docker's own clients take. */
struct tls_files {
    char *ca, *cert, *key; /* owned; NULL without */
};

static void tls_files_done(struct tls_files *files)
{
    free(files->ca);
    free(files->cert);
    free(files->key);
}

static int copy_path(char **to, const char *path)
{
    *to = path ? strdup(path) : NULL;
    return path && !*to ? -ENOMEM : 0;
}

static int tls_files_init(struct tls_files *files, const struct tly_docker_settings *settings)
{
    const char *folder = getenv("DOCKER_CERT_PATH");
    const char *verify = getenv("DOCKER_TLS_VERIFY");
    bool configured = settings->ca_file || settings->cert_file;
    if (!configured && folder && *folder && verify && *verify) {
        bool made = asprintf(&files->ca, "%s/ca.pem", folder) >= 0 &&
                    asprintf(&files->cert, "%s/cert.pem", folder) >= 0 &&
                    asprintf(&files->key, "%s/key.pem", folder) >= 0;
        return made ? 0 : -ENOMEM;
    }
    int rc = copy_path(&files->ca, settings->ca_file);
    rc = rc < 0 ? rc : copy_path(&files->cert, settings->cert_file);
    return rc < 0 ? rc : copy_path(&files->key, settings->key_file);
}

static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static int make_fetcher(struct tly_loop *loop, const char *host, const struct tls_files *files,
                        struct tly_fetcher **ret_fetcher, bool *ret_local, struct tly_error *err)
{
    TLY_AUTO_FREE char *url = NULL;
    const char *socket = after(host, "unix://");
    const char *tcp = after(host, "tcp://");
    if ((!socket || *socket != '/') && (!tcp || !*tcp)) {
        return tly_error_set(err, -EINVAL,
                             "`%s` is no address of a Docker engine that the agent can use; it "
                             "knows unix:///path and tcp://host:port",
                             host);
    }
    bool tls = tcp && (files->ca || files->cert);
    int len = socket ? asprintf(&url, "http://docker")
                     : asprintf(&url, "%s://%s", tls ? "https" : "http", tcp);
    if (len < 0) {
        url = NULL;
        return tly_error_set(err, -ENOMEM, "out of memory for the Docker engine");
    }
    while (url[len - 1] == '/') {
        url[--len] = '\0';
    }
    struct tly_endpoint endpoint = {
        .base_url = url,
        .unix_socket = socket,
        .ca_file = tls ? files->ca : NULL,
        .cert_file = tls ? files->cert : NULL,
        .key_file = tls ? files->key : NULL,
    };
    *ret_local = socket != NULL;
    return tly_fetcher_new(loop, &endpoint, ret_fetcher, err);
}

int tly_engine_fetcher_new(struct tly_loop *loop, const struct tly_docker_settings *settings,
                           struct tly_fetcher **ret_fetcher, bool *ret_local, struct tly_error *err)
{
    struct tls_files files = {0};
    int rc = tls_files_init(&files, settings);
    rc = rc < 0 ? tly_error_set(err, rc, "out of memory for the Docker engine")
                : make_fetcher(loop, settings->host, &files, ret_fetcher, ret_local, err);
    tls_files_done(&files);
    return rc;
}
