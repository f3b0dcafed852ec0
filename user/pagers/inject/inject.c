/*
 * The injector: a userfaultfd whose faults are signals. Everything may be called from the handler
 * of that signal, for each function is one or two system calls.
 */
#define _GNU_SOURCE
#include "inject.h"
#include "uffd.h"

#include <stdlib.h>
#include <sys/mman.h>

struct injector {
    char *memory;
    size_t nr_pages;
    int uffd;
};

int injector_create(void *memory, size_t nr_pages, struct injector **out)
{
    struct injector *injector = calloc(1, sizeof(*injector));
    int error;

    if (injector == NULL) {
        return -ENOMEM;
    }
    injector->memory = memory;
    injector->nr_pages = nr_pages;
    injector->uffd = uffd_open(O_CLOEXEC, UFFD_FEATURE_SIGBUS | UFFD_FEATURE_POISON |
                                              UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    error = injector->uffd;
    if (error >= 0) {
        error = uffd_register(injector->uffd, memory, nr_pages,
                              UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
    }
    if (error != 0) {
        close(injector->uffd);
        free(injector);
        return error;
    }
    *out = injector;
    return 0;
}

void injector_destroy(struct injector *injector)
{
    close(injector->uffd);
    free(injector);
}

static char *address_of(const struct injector *injector, size_t page)
{
    return injector->memory + page * PAGE;
}

int injector_take(struct injector *injector, size_t page)
{
    return madvise(address_of(injector, page), PAGE, MADV_DONTNEED) != 0 ? -errno : 0;
}

int injector_break(struct injector *injector, size_t page)
{
    /* Only where nothing is can poison be put. */
    int error = injector_take(injector, page);

    return error != 0 ? error : uffd_poison(injector->uffd, address_of(injector, page), 1, 0);
}

int injector_give(struct injector *injector, size_t page, const void *contents)
{
    return uffd_copy(injector->uffd, address_of(injector, page), contents, 1, 0);
}

int injector_forbid_writes(struct injector *injector, size_t page)
{
    return uffd_protect(injector->uffd, address_of(injector, page), 1);
}

int injector_allow_writes(struct injector *injector, size_t page)
{
    return uffd_unprotect(injector->uffd, address_of(injector, page), 1);
}
