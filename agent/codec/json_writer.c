/*
 * See json_writer.h.
 */
#include "agent/codec/json_writer.h"

#include "agent/codec/record_json.h"
#include "agent/model/container.h"

void tly_json_put(struct tly_json_writer *writer, const char *text)
{
    if (writer->rc == 0) {
        writer->rc = tly_buf_append_text(writer->buf, tly_text_of(text));
    }
}

void tly_json_put_text(struct tly_json_writer *writer, struct tly_text text)
{
    const struct tly_json_style plain = {.raw_bytes = false};
    if (writer->rc == 0) {
        writer->rc = tly_record_json_text(writer->buf, text, plain);
    }
}

void tly_json_put_decimal(struct tly_json_writer *writer, int64_t raw, int exponent)
{
    char text[TLY_DECIMAL_MAX];
    if (raw == TLY_UNKNOWN) {
        tly_json_put(writer, "null");
    } else if (writer->rc == 0) {
        writer->rc = tly_buf_append(writer->buf, text, tly_decimal_write(text, raw, exponent));
    }
}

void tly_json_put_time(struct tly_json_writer *writer, int64_t ns)
{
    if (writer->rc == 0) {
        writer->rc = tly_record_json_time(writer->buf, ns);
    }
}
