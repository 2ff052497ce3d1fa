/*
 * API versions, refusals and /info of the Docker engine; see engine_json.h.
 */
#include "agent/codec/engine_json.h"

#include "agent/codec/json.h"

#include <string.h>

/* No engine ever had a number near this; larger ones are not versions. */
#define VERSION_PART_MAX 9999

static int part_of(struct tly_text text, int *ret_part)
{
    uint64_t value = 0;
    if (tly_text_u64(text, &value) < 0 || value > VERSION_PART_MAX) {
        return TLY_E_MALFORMED;
    }
    *ret_part = (int)value;
    return 0;
}

int tly_api_version_parse(struct tly_text text, struct tly_api_version *ret_version)
{
    struct tly_api_version version = {0};
    struct tly_text rest = tly_text_trim(text);
    if (rest.len > 0 && rest.at[0] == 'v') {
        rest.at++;
        rest.len--;
    }
    struct tly_text major = tly_text_cut(&rest, '.');
    if (!rest.at || part_of(major, &version.major) < 0 || part_of(rest, &version.minor) < 0) {
        return TLY_E_MALFORMED;
    }
    *ret_version = version;
    return 0;
}

int tly_api_version_compare(struct tly_api_version a, struct tly_api_version b)
{
    return a.major != b.major ? a.major - b.major : a.minor - b.minor;
}

void tly_engine_message(struct tly_text body, char *to, size_t cap)
{
    json_auto_t *root = NULL;
    struct tly_text text = tly_text_trim(body);
    if (tly_json_parse(body, &root, NULL) == 0) {
        text = tly_json_text(root, "message");
    } else if (text.at) {
        text = tly_text_trim(tly_text_cut(&text, '\n'));
    }
    text = text.at ? text : TLY_TEXT("");
    size_t len = text.len < cap - 1 ? text.len : cap - 1;
    len = tly_text_utf8_prefix((struct tly_text){text.at, len});
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        to[i] = byte < 0x20 || byte == 0x7f ? ' ' : text.at[i];
    }
    to[len] = '\0';
}

bool tly_engine_wants_version(struct tly_text message, struct tly_api_version *ret_version)
{
    static const struct tly_text phrase = {"supported API version is ", 25};
    for (size_t i = 0; i + phrase.len < message.len; i++) {
        if (memcmp(message.at + i, phrase.at, phrase.len) != 0) {
            continue;
        }
        size_t from = i + phrase.len;
        size_t end = from;
        while (end < message.len && strchr("0123456789.", message.at[end]) && message.at[end]) {
            end++;
        }
        /* The full stop of the sentence is no part of the number. */
        while (end > from && message.at[end - 1] == '.') {
            end--;
        }
        struct tly_text number = {message.at + from, end - from};
        return tly_api_version_parse(number, ret_version) == 0;
    }
    return false;
}

static void copy_cut(struct tly_text text, char *to, size_t cap)
{
    size_t len = !text.at ? 0 : text.len < cap - 1 ? text.len : cap - 1;
    if (len > 0) {
        memcpy(to, text.at, len);
    }
    to[len] = '\0';
}

int tly_engine_info_parse(struct tly_text json, struct tly_engine_info *ret_info,
                          struct tly_error *err)
{
    json_auto_t *root = NULL;
    int rc = tly_json_parse(json, &root, err);
    if (rc < 0) {
        return rc;
    }
    copy_cut(tly_json_text(root, "ID"), ret_info->id, sizeof(ret_info->id));
    copy_cut(tly_json_text(root, "ServerVersion"), ret_info->version, sizeof(ret_info->version));
    struct tly_text data_root = tly_json_text(root, "DockerRootDir");
    if (data_root.len >= sizeof(ret_info->data_root)) {
        data_root.len = 0; /* a path that was cut is another path */
    }
    copy_cut(data_root, ret_info->data_root, sizeof(ret_info->data_root));
    return 0;
}

int tly_engine_exec_parse(struct tly_text json, struct tly_engine_exec *ret_exec,
                          struct tly_error *err)
{
    json_auto_t *root = NULL;
    int rc = tly_json_parse(json, &root, err);
    if (rc < 0) {
        return rc;
    }
    const json_t *process = json_object_get(root, "ProcessConfig");
    struct tly_text container = tly_json_text(root, "ContainerID");
    if (!json_is_object(process) || container.len == 0 ||
        container.len >= sizeof(ret_exec->container_id)) {
        return tly_error_set(err, TLY_E_MALFORMED, "an exec without ProcessConfig or ContainerID");
    }
    ret_exec->tty = tly_json_true(process, "tty");
    ret_exec->privileged = tly_json_true(process, "privileged");
    copy_cut(container, ret_exec->container_id, sizeof(ret_exec->container_id));
    copy_cut(tly_json_text(process, "user"), ret_exec->user, sizeof(ret_exec->user));
    return 0;
}
