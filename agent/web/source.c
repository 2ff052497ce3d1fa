/*
 * Answers whose text is made while it is sent: the daemon asks for as much as it can give to the
 * socket at once, and gets it out of the source's present block. However long the answer and slow
 * its client, no more than a block of it is held.
 */
#include "agent/web/server.h"

#include <stdlib.h>
#include <string.h>

/* For one write to the socket: small beside what the loop may be kept busy for. */
#define PIECE_BYTES (128U << 10)

struct reading {
    struct tly_http_source source;
    struct tly_text rest; /* of the present block */
};

/* A MHD_ContentReaderCallback. */
static ssize_t piece_read(void *cls, uint64_t at, char *to, size_t max)
{
    (void)at; /* the daemon reads in order */
    struct reading *reading = cls;
    if (reading->rest.len == 0 && reading->source.next(reading->source.arg, &reading->rest) < 0) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t len = reading->rest.len < max ? reading->rest.len : max;
    if (len == 0) {
        return MHD_CONTENT_READER_END_OF_STREAM; /* shorter than it was said to be */
    }
    memcpy(to, reading->rest.at, len);
    reading->rest.at += len;
    reading->rest.len -= len;
    return (ssize_t)len;
}

/* A MHD_ContentReaderFreeCallback. */
static void reading_free(void *cls)
{
    struct reading *reading = cls;
    reading->source.done(reading->source.arg);
    free(reading);
}

struct MHD_Response *tly_web_source_response(const struct tly_http_source *source, size_t len)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    if (reading == NULL) {
        source->done(source->arg);
        return NULL;
    }
    reading->source = *source;
    struct MHD_Response *response = MHD_create_response_from_callback(len, PIECE_BYTES, piece_read,
                                                                      reading, reading_free);
    if (response == NULL) {
        reading_free(reading);
    }
    return response;
}
