/*
 * The memory that only the start and rare moments needed: pages of libraries that the dynamic
 * linker and their set-up looked at, and what was freed since.
 */
#ifndef TLY_FOOTPRINT_H
#define TLY_FOOTPRINT_H

/* When to call it: after the start, when collectors and outputs have done all things once, and now
 * and then for what is done seldom. It costs some fifty page faults. */
#define TLY_FOOTPRINT_AFTER_MS 5000
#define TLY_FOOTPRINT_EVERY_MS 60000

/*
 * Gives that memory back. Only pages that nobody may write are let go of, which the kernel maps
 * anew from their files when they are needed (madvise(2), MADV_DONTNEED on file mappings), and free
 * ends of the heap (malloc_trim(3)).
 */
void tly_footprint_shrink(void);

#endif
