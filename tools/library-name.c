/*
 * Prints the name of the file from which the loader takes SYMBOL, a function of the library that
 * this is linked with. The build runs it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define TEXT(name)        TEXT_OF(name)
#define TEXT_OF(name)     #name
#define ENOUGH_FOR_NOBODY 1000

void SYMBOL(void); /* not as it is: only its address counts */

int main(int argc, char **argv)
{
    Dl_info info;
    (void)argv;
    if (argc > ENOUGH_FOR_NOBODY) {
        SYMBOL(); /* so that the linker keeps the library */
    }
    /* Not the program's own way to it, which an executable may have at a fixed place. */
    void *at = dlsym(RTLD_NEXT, TEXT(SYMBOL));
    const char *name = at && dladdr(at, &info) ? strrchr(info.dli_fname, '/') : NULL;
    if (!name) {
        return 1;
    }
    (void)puts(name + 1);
    return 0;
}
