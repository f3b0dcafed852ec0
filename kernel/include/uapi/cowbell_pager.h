/* Paged objects. Part of uapi/cowbell.h, which includes it. */
#ifndef UAPI_COWBELL_PAGER_H
#define UAPI_COWBELL_PAGER_H

#include <stdint.h>

/*
 * Paged objects: files whose pages their server brings when they are needed.
 *
 * The descriptor is the server's. It hands it out as the object of CB_OP_OBJECT, and by reading and
 * writing through it reaches the pages that are in memory; -ENODATA where there is none. ftruncate
 * sets the size; punching a hole forgets whole pages, also those that were written, and who needs
 * them again asks again. A client waits for its page with no lock held and can be killed; once the
 * port is closed it gets SIGBUS for what is missing, and keeps what is there.
 *
 * Memory that a message names may itself need a pager, perhaps this very server. So copying from or
 * to it never waits for one: it gives -CB_EPAGING. The server replies with that and forgets the
 * message; its client brings the memory in, and sends the message again.
 */
#define CB_EPAGING 517

struct cb_pager {
    uint64_t cookie; /* of the messages */
    uint64_t size;   /* bytes */
    uint32_t flags;  /* CB_PAGER_TRACKS */
    uint32_t pad;
};

#define CB_PAGER_TRACKS 1u /* WRITE_NOTIFY and WRITE_BACK are wanted */

struct cb_pager_supply {
    uint64_t offset; /* of a page */
    uint64_t len;    /* whole pages, or up to the end of the object */
    uint64_t addr;   /* the bytes */
};

/* On a paged object: (const struct cb_pager_supply *) -> bytes; content that nobody has asked for
 * yet. Pages that are there stay as they are. */
#define CB_PAGER_SUPPLY 0x40184501u
/* On a paged object: from now on it is a memfd. What is not there is zero; nobody is asked. */
#define CB_PAGER_SETTLE 0x4502u

_Static_assert(sizeof(struct cb_pager) == 24, "ABI");
_Static_assert(sizeof(struct cb_pager_supply) == 24, "ABI");

#endif
