# Programs of user space and what the initial file system holds. tools/make/user.mk builds them.
#
# A program NAME has its sources in NAME_SRCS, in the order a reader opens them, and its place in
# the initial file system in NAME_PATH.

USER_CFLAGS := -static -s -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -Ikernel/include \
    -Iuser/lib

USER_PROGS := init console fs object_pager

USER_LIB_SERVER := user/lib/cb_server.c user/lib/cb_syscall.c
USER_LIB_IMAGE := user/lib/image.c kernel/lib/cpio.c

init_PATH := sbin/init
init_SRCS := \
    user/servers/init/main.c \
    user/servers/init/start.c \
    user/servers/init/command.c \
    user/servers/init/session.c \
    user/servers/init/shutdown.c \
    user/lib/cb_syscall.c \
    $(USER_LIB_IMAGE)

console_PATH := sbin/console
console_SRCS := \
    user/servers/console/main.c \
    user/servers/console/tty.c \
    user/servers/console/tty_jobs.c \
    user/servers/console/tty_ioctl.c \
    user/servers/console/ldisc_input.c \
    user/servers/console/ldisc_output.c \
    $(USER_LIB_SERVER)

# Everything of the file server but its main(), for the host tests too.
FS_SRCS := \
    user/servers/fs/table.c \
    user/servers/fs/fs.c \
    user/servers/fs/start.c \
    user/servers/fs/initrd.c \
    user/servers/fs/node.c \
    user/servers/fs/dir.c \
    user/servers/fs/path.c \
    user/servers/fs/access.c \
    user/servers/fs/mount.c \
    user/servers/fs/data.c \
    user/servers/fs/paged.c \
    user/servers/fs/dax_mount.c \
    user/servers/fs/dax_data.c \
    user/servers/fs/dax_space.c \
    user/servers/fs/dax_image.c \
    user/servers/fs/dax_load.c \
    user/servers/fs/dax_save.c \
    user/servers/fs/open_file.c \
    user/servers/fs/open_ops.c \
    user/servers/fs/io_ops.c \
    user/servers/fs/name_ops.c \
    user/servers/fs/rename_ops.c \
    user/servers/fs/attr_ops.c \
    user/servers/fs/info_ops.c \
    user/servers/fs/mount_ops.c \
    user/servers/fs/waiter.c \
    user/servers/fs/fifo.c \
    user/servers/fs/flock.c \
    user/servers/fs/dev.c \
    user/servers/fs/generated.c \
    user/servers/fs/proc_node.c \
    user/servers/fs/proc_table.c \
    user/servers/fs/proc_links.c \
    user/servers/fs/proc_root.c \
    user/servers/fs/proc_memory.c \
    user/servers/fs/proc_cpuinfo.c \
    user/servers/fs/proc_process.c \
    user/servers/fs/proc_status.c \
    user/servers/fs/proc_maps.c \
    user/servers/fs/proc_smaps.c \
    user/servers/fs/proc_fd.c \
    user/servers/fs/proc_sys.c \
    user/servers/fs/sysctl.c \
    user/servers/fs/sys_setting.c \
    user/servers/fs/debugfs.c \
    user/lib/text.c \
    user/lib/cb_server.c \
    $(USER_LIB_IMAGE)

fs_PATH := sbin/fs
fs_SRCS := user/servers/fs/main.c $(FS_SRCS) user/lib/cb_syscall.c

object_pager_PATH := usr/bin/object_pager
object_pager_SRCS := \
    user/pagers/object_pager/main.c \
    user/pagers/object_pager/pager.c \
    $(USER_LIB_SERVER)

# Example pagers: programs that run on Linux too, and that `make check` runs as tests.
USER_PAGER_NAMES := umap_sort live_snapshot post_copy gc_barrier fault_inject
umap_sort_SRCS := user/pagers/umap/umap.c user/pagers/umap/sort.c
live_snapshot_SRCS := user/pagers/snapshot/at_start.c user/pagers/snapshot/at_end.c \
    user/pagers/snapshot/live_snapshot.c
post_copy_SRCS := user/pagers/migrate/source.c user/pagers/migrate/destination.c \
    user/pagers/migrate/post_copy.c
gc_barrier_SRCS := user/pagers/gc/heap.c user/pagers/gc/gc_barrier.c
fault_inject_SRCS := user/pagers/inject/inject.c user/pagers/inject/fault_inject.c

# path:mode of directories, path=source:mode of files, path=target of symbolic links. The servers
# come first, so that init finds them without reading the whole image.
INITRD_DIRS := sbin:755 bin:755 dev:755 etc:755 home:755 home/student:755 lib:755 mnt:755 \
    proc:555 root:700 run:755 sys:555 tests:755 tmp:1777 usr:755 usr/bin:755 usr/sbin:755 \
    var:755 var/tmp:1777

INITRD_FILES := \
    bin/busybox=/bin/busybox:755 \
    etc/passwd=user/etc/passwd:644 \
    etc/group=user/etc/group:644 \
    etc/profile=user/etc/profile:644 \
    etc/hostname=user/etc/hostname:644 \
    etc/motd=user/etc/motd:644

# Every applet of busybox becomes a link in /bin, except those that init and the shell must not
# find there.
INITRD_APPLETS_OF := /bin/busybox
INITRD_APPLETS_NOT := busybox init linuxrc
INITRD_LINKS := etc/mtab=/proc/mounts
