/*
 * How a container is to be run, from the engine's JSON: what its facts and the counters of execs
 * need beyond state and limits. Pure; what is wrong in one member never costs the others.
 */
#include "agent/base/buf.h"
#include "agent/codec/container_word.h"
#include "agent/codec/json.h"

#include <errno.h>

/* A longer command is no health check that anybody could read; its execs count as unknown ones. */
#define HEALTH_COMMAND_MAX 16384

/* Docker's own for CMD-SHELL, where the image names no other shell. */
static const char *const default_shell[] = {"/bin/sh", "-c"};

/* ---- health check ---- */

static int word_append(struct tly_buf *buf, struct tly_text word)
{
    int rc = buf->len > 0 ? tly_buf_append(buf, " ", 1) : 0;
    return rc < 0 ? rc : tly_buf_append_text(buf, word);
}

static int words_append(struct tly_buf *buf, const json_t *words, size_t first)
{
    int rc = 0;
    for (size_t i = first; rc == 0 && i < json_array_size(words); i++) {
        rc = word_append(buf, tly_json_string(json_array_get(words, i)));
    }
    return rc;
}

static int shell_append(struct tly_buf *buf, const json_t *shell)
{
    if (json_array_size(shell) > 0) {
        return words_append(buf, shell, 0);
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(default_shell) / sizeof(default_shell[0]); i++) {
        rc = word_append(buf, tly_text_of(default_shell[i]));
    }
    return rc;
}

static int fill_health_command(struct tly_container *container, const json_t *config)
{
    const json_t *test = json_object_get(json_object_get(config, "Healthcheck"), "Test");
    struct tly_text kind = tly_json_string(json_array_get(test, 0));
    bool shell = tly_text_equal(kind, TLY_TEXT("CMD-SHELL"));
    if (!shell && !tly_text_equal(kind, TLY_TEXT("CMD"))) {
        return 0;
    }
    struct tly_buf command;
    tly_buf_init(&command, HEALTH_COMMAND_MAX);
    int rc = shell ? shell_append(&command, json_object_get(config, "Shell")) : 0;
    rc = rc < 0 ? rc : words_append(&command, test, 1);
    if (rc == 0 && command.len > 0) {
        rc = tly_container_set(&container->health_command, tly_buf_text(&command));
    }
    tly_buf_done(&command);
    return rc == TLY_E_LIMIT ? 0 : rc;
}

/* ---- log, ports, policy ---- */

/* json-file rotates only where a size is set, `local` always; the engine writes its own defaults
 * into each container's options when it makes it. */
static void fill_log_rotation(struct tly_container *container, const json_t *host)
{
    const json_t *log = json_object_get(host, "LogConfig");
    struct tly_text driver = tly_json_text(log, "Type");
    struct tly_text size = tly_json_text(json_object_get(log, "Config"), "max-size");
    if (tly_text_equal(driver, TLY_TEXT("json-file"))) {
        container->log_rotation = size.len > 0 && !tly_text_equal(size, TLY_TEXT("-1"));
    } else if (tly_text_equal(driver, TLY_TEXT("local"))) {
        container->log_rotation = !tly_text_equal(size, TLY_TEXT("-1"));
    }
}

static void fill_ports(struct tly_container *container, const json_t *root)
{
    const json_t *settings = json_object_get(root, "NetworkSettings");
    if (!json_is_object(settings)) {
        return;
    }
    json_t *ports = json_object_get(settings, "Ports");
    const char *key = NULL;
    json_t *bindings = NULL;
    container->published_ports = 0;
    json_object_foreach(ports, key, bindings)
    {
        struct tly_text port = tly_json_text(json_array_get(bindings, 0), "HostPort");
        container->published_ports += port.len > 0;
    }
}

static int fill_policy(struct tly_container *container, const json_t *host)
{
    const json_t *policy = json_object_get(host, "RestartPolicy");
    struct tly_text name = tly_json_text(policy, "Name");
    if (!json_is_object(policy)) {
        return 0;
    }
    /* An empty name is what old engines write for none. */
    return tly_container_set(&container->restart_policy, name.len > 0 ? name : TLY_TEXT("no"));
}

/* What the engine itself notes on disk; its API does not tell. */
static int64_t stopped_of(const json_t *root)
{
    const json_t *stopped = json_object_get(root, "HasBeenManuallyStopped");
    return json_is_boolean(stopped) ? json_is_true(stopped) : TLY_UNKNOWN;
}

static int fill_upper_dir(struct tly_container *container, const json_t *root)
{
    const json_t *data = json_object_get(json_object_get(root, "GraphDriver"), "Data");
    struct tly_text upper = tly_json_text(data, "UpperDir");
    bool usable = upper.len > 1 && upper.at[0] == '/' && !memchr(upper.at, '\0', upper.len);
    return usable ? tly_container_set(&container->upper_dir, upper) : 0;
}

int tly_container_fill_config(struct tly_container *container, const json_t *root,
                              const json_t *host)
{
    const json_t *config = json_object_get(root, "Config");
    struct tly_text user = tly_json_text(config, "User");
    fill_log_rotation(container, host);
    fill_ports(container, root);
    int rc = fill_policy(container, host);
    rc = rc < 0 ? rc : fill_upper_dir(container, root);
    rc = rc < 0 ? rc : fill_health_command(container, config);
    if (rc == 0 && user.at) {
        rc = tly_container_set(&container->user, user);
    }
    container->desired_running = tly_container_desired(container, stopped_of(root));
    return rc;
}
