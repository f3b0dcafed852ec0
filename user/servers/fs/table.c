/* Which handler answers which operation. */
#include "fs.h"
#include "paged.h"

const struct cb_op_entry fs_ops[CB_OP_END] = {
    [CB_OP_OPEN] = {op_open},         [CB_OP_CLOSE] = {op_close},
    [CB_OP_READ] = {op_read},         [CB_OP_WRITE] = {op_write},
    [CB_OP_GETDENTS] = {op_getdents}, [CB_OP_STAT] = {op_stat},
    [CB_OP_STATAT] = {op_statat},     [CB_OP_IOCTL] = {op_ioctl},
    [CB_OP_TRUNCATE] = {op_truncate}, [CB_OP_FALLOCATE] = {op_fallocate},
    [CB_OP_FSYNC] = {op_fsync},       [CB_OP_CHMOD] = {op_chmod},
    [CB_OP_CHMODAT] = {op_chmodat},   [CB_OP_CHOWN] = {op_chown},
    [CB_OP_CHOWNAT] = {op_chownat},   [CB_OP_UTIMENS] = {op_utimens},
    [CB_OP_MKDIR] = {op_mkdir},       [CB_OP_MKNOD] = {op_mknod},
    [CB_OP_UNLINK] = {op_unlink},     [CB_OP_RENAME] = {op_rename},
    [CB_OP_LINK] = {op_link},         [CB_OP_SYMLINK] = {op_symlink},
    [CB_OP_READLINK] = {op_readlink}, [CB_OP_ACCESS] = {op_access},
    [CB_OP_STATFS] = {op_statfs},     [CB_OP_GETCWD] = {op_getcwd},
    [CB_OP_OBJECT] = {op_object},     [CB_OP_INTERRUPT] = {op_interrupt},
    [CB_OP_MOUNT] = {op_mount},       [CB_OP_UMOUNT] = {op_umount},
    [CB_OP_FLOCK] = {op_flock},       [CB_OP_PAGE_IN] = {op_page_in},
    [CB_OP_SEEK] = {op_seek},
};
