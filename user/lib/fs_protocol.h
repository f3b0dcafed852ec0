/* What init and the file server agree on. */
#ifndef USER_FS_PROTOCOL_H
#define USER_FS_PROTOCOL_H

/* The cookie of the connection that init makes to the root directory. */
#define FS_ROOT_COOKIE 0x100000000u

#endif
