/*
 * The list of complaints about a file. It has a fixed size, since nobody mends more than a few
 * dozen mistakes at a time; what is over the maximum is counted.
 */
#include "agent/config/option.h"

#include <stdarg.h>
#include <stdio.h>

void tly_complain(struct tly_complaints *complaints, size_t line, size_t column, const char *format,
                  ...)
{
    size_t index = complaints->count++;
    if (index >= TLY_COMPLAINTS_MAX) {
        return;
    }
    struct tly_complaint *complaint = &complaints->at[index];
    complaint->line = line;
    complaint->column = column;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(complaint->text, sizeof(complaint->text), format, args); /* cut is fine */
    va_end(args);
    /* It may repeat what stands in the file, and goes to a terminal, a line for each. */
    for (char *at = complaint->text; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            *at = '?';
        }
    }
}

size_t tly_complaints_kept(const struct tly_complaints *complaints)
{
    return complaints->count < TLY_COMPLAINTS_MAX ? complaints->count : TLY_COMPLAINTS_MAX;
}

static bool stands_before(const struct tly_complaint *a, const struct tly_complaint *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void tly_complaints_sort(struct tly_complaints *complaints)
{
    size_t count = tly_complaints_kept(complaints);
    for (size_t i = 1; i < count; i++) {
        struct tly_complaint moved = complaints->at[i];
        size_t j = i;
        for (; j > 0 && stands_before(&moved, &complaints->at[j - 1]); j--) {
            complaints->at[j] = complaints->at[j - 1];
        }
        complaints->at[j] = moved;
    }
}
