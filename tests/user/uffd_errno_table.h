/*
 * What each command of userfaultfd answers, condition by condition: the one source of
 * tests/user/uffd_errno_test.c, which brings about every cell, and of the table in
 * docs/userfaultfd.md, which tools/uffd_errno_doc.py makes.
 *
 * ROW(name, what it is,
 *     API, REGISTER, UNREGISTER, WAKE, COPY, ZEROPAGE, CONTINUE, POISON, WRITEPROTECT, MOVE)
 * OK: the command succeeds. NA: the condition says nothing about the command.
 */
/* clang-format off */
#define UFFD_ERRNO_TABLE(ROW) \
    ROW(struct_unreadable, "the command's structure cannot be read", \
        EFAULT, EFAULT, EFAULT, EFAULT, EFAULT, EFAULT, EFAULT, EFAULT, EFAULT, EFAULT) \
    ROW(no_handshake, "before a successful UFFDIO_API", \
        NA, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL) \
    ROW(second_handshake, "after a successful UFFDIO_API", \
        EINVAL, OK, OK, OK, OK, OK, OK, OK, OK, OK) \
    ROW(unknown_mode, "a mode or feature bit that does not exist", \
        EINVAL, EINVAL, NA, NA, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL) \
    ROW(no_mode, "no mode at all", \
        OK, EINVAL, NA, NA, OK, OK, OK, OK, OK, OK) \
    ROW(start_unaligned, "the start is not that of a page", \
        NA, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL) \
    ROW(length_unaligned, "the length is not whole pages", \
        NA, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL) \
    ROW(length_zero, "the length is zero", \
        NA, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL) \
    ROW(range_wraps, "the range wraps around", \
        NA, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL) \
    ROW(above_user_space, "the range ends above user space", \
        NA, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL) \
    ROW(layout_changing, "an event about the layout has not been read yet", \
        NA, OK, OK, OK, EAGAIN, EAGAIN, EAGAIN, EAGAIN, EAGAIN, EAGAIN) \
    ROW(nothing_mapped, "nothing is mapped in the range", \
        NA, EINVAL, EINVAL, OK, ENOENT, ENOENT, ENOENT, ENOENT, ENOENT, ENOENT) \
    ROW(two_mappings, "the range spans two registered mappings", \
        NA, OK, OK, OK, ENOENT, ENOENT, ENOENT, ENOENT, OK, EINVAL) \
    ROW(hole_behind, "the range goes on behind a registered mapping, over nothing", \
        NA, OK, OK, OK, ENOENT, ENOENT, ENOENT, ENOENT, OK, EINVAL) \
    ROW(not_registered, "the mapping is not registered", \
        NA, OK, OK, OK, ENOENT, ENOENT, ENOENT, ENOENT, ENOENT, EINVAL) \
    ROW(registered_without_wp, "the mapping is not registered for write-protection; MODE_WP", \
        NA, OK, OK, OK, EINVAL, NA, EINVAL, NA, ENOENT, NA) \
    ROW(other_descriptor, "the mapping is registered with another descriptor", \
        NA, EBUSY, OK, OK, OK, OK, OK, OK, OK, EINVAL) \
    ROW(no_maywrite, "a shared mapping of a file that is open for reading only", \
        NA, EPERM, OK, OK, ENOENT, ENOENT, ENOENT, ENOENT, ENOENT, EINVAL) \
    ROW(special_memory, "a mapping that is no memory: [vvar]", \
        NA, EINVAL, EINVAL, OK, ENOENT, ENOENT, ENOENT, ENOENT, ENOENT, EINVAL) \
    ROW(minor_of_anonymous, "anonymous memory and what only files have", \
        NA, EINVAL, OK, OK, OK, OK, EINVAL, OK, OK, OK) \
    ROW(page_there, "a page is there, anonymous", \
        NA, OK, OK, OK, EEXIST, EEXIST, NA, EEXIST, OK, EEXIST) \
    ROW(page_there_shared, "a page is there, shared memory", \
        NA, OK, OK, OK, EEXIST, EEXIST, EEXIST, EEXIST, OK, EINVAL) \
    ROW(only_in_the_file, "shared memory: the file has the page, the address not yet", \
        NA, OK, OK, OK, EEXIST, EEXIST, OK, OK, OK, EINVAL) \
    ROW(file_hole, "shared memory: the file has no page here", \
        NA, OK, OK, OK, OK, OK, EFAULT, OK, OK, EINVAL) \
    ROW(wp_marker, "write-protected, no page, anonymous", \
        NA, OK, OK, OK, OK, EEXIST, NA, EEXIST, OK, EEXIST) \
    ROW(wp_marker_shared, "write-protected, no page, shared memory", \
        NA, OK, OK, OK, OK, OK, EFAULT, EEXIST, OK, EINVAL) \
    ROW(wp_marker_cached, "write-protected, page in the file only, shared memory", \
        NA, OK, OK, OK, EEXIST, EEXIST, OK, EEXIST, OK, EINVAL) \
    ROW(poisoned, "poisoned, anonymous", \
        NA, OK, OK, OK, OK, EEXIST, NA, EEXIST, OK, EEXIST) \
    ROW(poisoned_shared, "poisoned, shared memory, no page in the file", \
        NA, OK, OK, OK, OK, OK, EFAULT, EEXIST, OK, EINVAL) \
    ROW(beyond_the_file, "shared memory behind the end of its file", \
        NA, OK, OK, OK, EFAULT, EFAULT, EINVAL, EFAULT, OK, EINVAL) \
    ROW(source_unmapped, "nothing is mapped at the source", \
        NA, NA, NA, NA, EFAULT, NA, NA, NA, NA, ENOENT) \
    ROW(source_empty, "the source holds no page", \
        NA, NA, NA, NA, OK, NA, NA, NA, NA, ENOENT) \
    ROW(source_shared, "the source's page is shared with a child", \
        NA, NA, NA, NA, OK, NA, NA, NA, NA, EBUSY) \
    ROW(partly_done, "the second page of two is there already", \
        NA, NA, NA, NA, EAGAIN, EAGAIN, EAGAIN, EAGAIN, NA, EAGAIN) \
    ROW(exited, "the process that made the descriptor has exited", \
        NA, ENOMEM, ENOMEM, OK, ESRCH, ESRCH, ESRCH, ESRCH, ESRCH, EINVAL)
/* clang-format on */
