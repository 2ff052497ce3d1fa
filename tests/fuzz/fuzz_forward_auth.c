/*
 * Both sides of the forward protocol's handshake, fed by a peer that sends anything: the first byte
 * says where the bytes are cut in two.
 */
#include "agent/codec/forward_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed_sender(struct tly_text first, struct tly_text second)
{
    static const unsigned char random_bytes[TLY_FORWARD_SALT_BYTES] = {1};
    const struct tly_forward_account account = {.hostname = TLY_TEXT("agent"),
                                                .shared_key = TLY_TEXT("secret"),
                                                .username = TLY_TEXT("joe"),
                                                .password = TLY_TEXT("pass")};
    struct tly_forward_greeting greeting;
    struct tly_buf answer;
    struct tly_error err;
    tly_buf_init(&answer, 4096);
    tly_forward_greeting_init(&greeting, random_bytes);
    int rc = tly_forward_greeting_read(&greeting, &account, first, &answer, &err);
    if (rc == TLY_E_MORE) {
        rc = tly_forward_greeting_read(&greeting, &account, second, &answer, &err);
    }
    tly_forward_greeting_done(&greeting);
    tly_buf_done(&answer);
    return rc;
}

static int feed_receiver(struct tly_text first, struct tly_text second)
{
    static const unsigned char random_bytes[2 * TLY_FORWARD_SALT_BYTES] = {1};
    static const struct tly_forward_user user = {TLY_TEXT("joe"), TLY_TEXT("pass")};
    const struct tly_forward_gate gate = {.hostname = TLY_TEXT("hub"),
                                          .shared_key = TLY_TEXT("secret"),
                                          .users = &user,
                                          .user_count = 1};
    struct tly_forward_welcome welcome;
    struct tly_buf answer;
    struct tly_error err;
    tly_buf_init(&answer, 4096);
    int rc = tly_forward_welcome_init(&welcome, random_bytes, &answer);
    rc = rc < 0 ? rc : tly_forward_welcome_read(&welcome, &gate, first, &answer, &err);
    if (rc == TLY_E_MORE) {
        rc = tly_forward_welcome_read(&welcome, &gate, second, &answer, &err);
    }
    tly_forward_welcome_done(&welcome);
    tly_buf_done(&answer);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct tly_text rest = {(const char *)data + 1, size - 1};
    size_t cut = data[0] < rest.len ? data[0] : rest.len;
    struct tly_text first = {rest.at, cut};
    struct tly_text second = {rest.at + cut, rest.len - cut};
    /* Nobody who sends arbitrary bytes knows the key: neither side may ever be satisfied. */
    if (feed_sender(first, second) == 0 || feed_receiver(first, second) == 0) {
        __builtin_trap();
    }
    return 0;
}
