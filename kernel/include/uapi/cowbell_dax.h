/* Direct devices. Part of uapi/cowbell.h, which includes it. */
#ifndef UAPI_COWBELL_DAX_H
#define UAPI_COWBELL_DAX_H

#include <stdint.h>

/*
 * Direct (DAX) devices: memory that is mapped as it is, with no copy of it anywhere. Commands of
 * ioctl(2) on /dev/dax<n>, and on the files that a server makes of its frames (4096 bytes each).
 *
 * A frame belongs to the device or to one file at a time. A file's page to which no frame was
 * granted is a hole: it reads as zeros, and a write to it through a shared mapping is a SIGBUS.
 */
enum cb_dax_cow {
    CB_DAX_COW_FILLS = 0,    /* the handler of a private write fault fills the new page */
    CB_DAX_COW_INSTALLS = 1, /* and enters it by itself, too */
};

struct cb_dax_info {
    uint64_t size; /* bytes */
    uint32_t number;
    uint32_t flags; /* CB_DAX_PERSISTENT */
};

#define CB_DAX_PERSISTENT 1u /* what is written there outlives the machine's power */

/* Frames [frame, frame + count) of the device become pages [index, index + count) of the file. */
struct cb_dax_grant {
    uint64_t index;
    uint64_t frame;
    uint64_t count;
    uint32_t flags; /* CB_DAX_ZERO */
    uint32_t pad;
};

#define CB_DAX_ZERO 1u /* make them zero first */

struct cb_dax_range {
    uint64_t start; /* bytes, whole pages, [start, end) */
    uint64_t end;
};

/* On a device: (struct cb_dax_info *) -> 0 */
#define CB_DAX_INFO 0x80104401u
/* On a device, user 0: (enum cb_dax_cow) -> descriptor of an empty file, close-on-exec. Its frames
 * come by grants and go by truncation, CB_DAX_REVOKE, or with its last user. */
#define CB_DAX_CREATE 0x4402u
/* On such a file: (const struct cb_dax_grant *) -> frames granted, the first ones. -EBUSY: another
 * file has the first, or somebody still refers to what was in it; -EEXIST: the page is no hole. */
#define CB_DAX_GRANT 0x40204403u
/* On such a file: (const struct cb_dax_range *) -> 0; the frames go back, private copies stay. */
#define CB_DAX_REVOKE 0x40104404u

_Static_assert(sizeof(struct cb_dax_info) == 16, "ABI");
_Static_assert(sizeof(struct cb_dax_grant) == 32, "ABI");
_Static_assert(sizeof(struct cb_dax_range) == 16, "ABI");

#endif
