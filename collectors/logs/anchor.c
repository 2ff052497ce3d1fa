/*
 * Anchors in an engine's log stream; see anchor.h. A kept position has the fields of one in a file:
 * here `device` is 0, which no file's is, `inode` has the count and the stream, `head_hash` the
 * newest time, `head_len` the text's length and `offset` the time.
 */
#include "collectors/logs/anchor.h"

void tly_log_anchor_position(const struct tly_log_anchor *anchor, struct tly_position *ret_position)
{
    *ret_position = (struct tly_position){
        .inode = anchor->count << 1 | (uint64_t)anchor->stream,
        .head_hash = (uint64_t)anchor->newest_ns,
        .head_len = anchor->len,
        .offset = (uint64_t)anchor->time_ns,
    };
}

bool tly_log_anchor_of(const struct tly_position *position, struct tly_log_anchor *ret_anchor)
{
    if (position->device != 0 || position->offset > INT64_MAX || position->head_hash > INT64_MAX) {
        return false;
    }
    *ret_anchor = (struct tly_log_anchor){
        .stream = (int)(position->inode & 1),
        .time_ns = (int64_t)position->offset,
        .count = position->inode >> 1,
        .len = position->head_len,
        .newest_ns = (int64_t)position->head_hash,
    };
    return true;
}

int64_t tly_log_anchor_since_ns(const struct tly_log_anchor *anchor)
{
    int64_t before = anchor->count > 0 ? TLY_LOG_OVERLAP_NS : 0;
    return anchor->time_ns > before ? anchor->time_ns - before : 0;
}

void tly_log_resume_begin(struct tly_log_resume *resume, const struct tly_log_anchor *from)
{
    *resume = (struct tly_log_resume){.place = *from, .reached = from->count == 0};
}

struct tly_log_anchor tly_log_resume_next(const struct tly_log_resume *resume, int stream,
                                          int64_t time_ns, size_t len)
{
    bool again = resume->last[stream].count > 0 && resume->last[stream].time_ns == time_ns;
    int64_t newest_ns = resume->place.newest_ns;
    return (struct tly_log_anchor){
        .stream = stream,
        .time_ns = time_ns,
        .count = again ? resume->last[stream].count + 1 : 1,
        .len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX,
        .newest_ns = time_ns > newest_ns ? time_ns : newest_ns,
    };
}

static bool is_place(const struct tly_log_resume *resume, const struct tly_log_anchor *next)
{
    const struct tly_log_anchor *place = &resume->place;
    return next->stream == place->stream && next->time_ns == place->time_ns &&
           next->count == place->count;
}

enum tly_log_verdict tly_log_resume_judge(const struct tly_log_resume *resume,
                                          const struct tly_log_anchor *next)
{
    if (resume->reached) {
        return TLY_LOG_NEW;
    }
    return next->time_ns > resume->place.newest_ns ? TLY_LOG_MISSED : TLY_LOG_OLD;
}

static void count(struct tly_log_resume *resume, const struct tly_log_anchor *next)
{
    resume->last[next->stream].time_ns = next->time_ns;
    resume->last[next->stream].count = next->count;
}

void tly_log_resume_skip(struct tly_log_resume *resume, const struct tly_log_anchor *next)
{
    count(resume, next);
    resume->skipped++;
    resume->reached = resume->reached || is_place(resume, next);
}

void tly_log_resume_take(struct tly_log_resume *resume, const struct tly_log_anchor *next)
{
    count(resume, next);
    resume->reached = true;
    resume->place = *next;
}

void tly_log_resume_give_up(struct tly_log_resume *resume)
{
    resume->place.time_ns = tly_log_anchor_since_ns(&resume->place);
    resume->place.count = 0;
    resume->place.len = 0;
    resume->reached = true;
}
