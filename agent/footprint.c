/*
 * Shrinks the process after its start. A few dozen libraries lie in it, most of them for what one
 * agent never does; the linker reads tables of all of them, and the kernel maps 64 KiB around each
 * page that is touched.
 */
#include "agent/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linker tells addresses as numbers. */
static void *address(uintptr_t number)
{
    void *pointer;
    memcpy(&pointer, &number, sizeof(pointer));
    return pointer;
}

/* Whether the linker changed pages that are not writable now: they would be lost. No library of a
 * distribution is built so. */
static bool has_text_relocations(const struct dl_phdr_info *object)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_DYNAMIC) {
            continue;
        }
        const ElfW(Dyn) *row = address(object->dlpi_addr + part->p_vaddr);
        for (; row->d_tag != DT_NULL; row++) {
            if (row->d_tag == DT_TEXTREL ||
                (row->d_tag == DT_FLAGS && (row->d_un.d_val & DF_TEXTREL) != 0)) {
                return true;
            }
        }
    }
    return false;
}

/* What is made read-only after relocation lies in a writable part, and stays. */
static int object_let_go(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (has_text_relocations(object)) {
        return 0;
    }
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0 || part->p_memsz == 0) {
            continue;
        }
        uintptr_t start = (object->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + part->p_vaddr + part->p_memsz + page - 1) &
                        ~(page - 1);
        /* A refusal means that the pages stay, and nothing else. */
        (void)madvise(address(start), end - start, MADV_DONTNEED);
    }
    return 0;
}

void tly_footprint_shrink(void)
{
    (void)malloc_trim(0); /* whether there was anything to give back */
    (void)dl_iterate_phdr(object_let_go, NULL);
}
