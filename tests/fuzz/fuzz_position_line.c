/*
 * Lines of the journal of positions, as they may stand there after a crash or by anybody's hand. Of
 * every line that is taken, what is written anew means the same. The input is a line without its
 * checksum or, where that would keep the rest from ever being looked at, with the right one behind:
 * its first byte says which.
 */
#include "agent/delivery/position_line.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define INPUT_MAX 8192 /* twice what is read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static struct tly_text name(const char *at, size_t len)
{
    return (struct tly_text){at, len};
}

static void expect_the_same(const struct tly_position_line *line)
{
    struct tly_position_line again;
    struct tly_buf buf;
    tly_buf_init(&buf, INPUT_MAX);
    insist(tly_position_line_write(&buf, name(line->destination, line->destination_len),
                                   name(line->key, line->key_len),
                                   line->drop ? NULL : &line->position) == 0);
    insist(tly_position_line_parse(name(buf.at, buf.len - 1), &again) == 0);
    insist(again.drop == line->drop);
    insist(tly_text_equal(name(again.destination, again.destination_len),
                          name(line->destination, line->destination_len)));
    insist(tly_text_equal(name(again.key, again.key_len), name(line->key, line->key_len)));
    insist(line->drop || (again.position.device == line->position.device &&
                          again.position.inode == line->position.inode &&
                          again.position.head_hash == line->position.head_hash &&
                          again.position.head_len == line->position.head_len &&
                          again.position.offset == line->position.offset &&
                          again.position.held == line->position.held &&
                          again.position.ahead == line->position.ahead));
    tly_buf_done(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_position_line line;
    struct tly_buf buf;
    if (size == 0 || size > INPUT_MAX / 2) {
        return 0;
    }
    tly_buf_init(&buf, INPUT_MAX);
    insist(tly_buf_append(&buf, (const char *)data + 1, size - 1) == 0);
    if (data[0] & 1) {
        insist(tly_buf_printf(&buf, " %08lx", crc32_z(0, data + 1, size - 1)) == 0);
    }
    if (tly_position_line_parse(tly_buf_text(&buf), &line) == 0) {
        expect_the_same(&line);
    }
    tly_buf_done(&buf);
    return 0;
}
