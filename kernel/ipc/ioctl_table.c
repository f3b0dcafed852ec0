/*
 * Which memory an ioctl command names.
 *
 * Owns: the table of commands that are older than the encoding of direction and size in their
 * bits. A command that is neither in the table nor encoded carries its argument as a number.
 */
#include <ipc/connection_file.h>

#include <uapi/linux/ioctl.h>
#include <uapi/linux/termios.h>

struct ioctl_entry {
    u32 cmd;
    u16 send;
    u16 recv;
};

static const struct ioctl_entry ioctl_table[] = {
    {TCGETS, 0, sizeof(struct termios)},
    {TCSETS, sizeof(struct termios), 0},
    {TCSETSW, sizeof(struct termios), 0},
    {TCSETSF, sizeof(struct termios), 0},
    {TCGETA, 0, sizeof(struct termio)},
    {TCSETA, sizeof(struct termio), 0},
    {TCSETAW, sizeof(struct termio), 0},
    {TCSETAF, sizeof(struct termio), 0},
    {TIOCGPGRP, 0, sizeof(s32)},
    {TIOCSPGRP, sizeof(s32), 0},
    {TIOCGSID, 0, sizeof(s32)},
    {TIOCOUTQ, 0, sizeof(s32)},
    {FIONREAD, 0, sizeof(s32)},
    {FIONBIO, sizeof(s32), 0},
    {TIOCSTI, 1, 0},
    {TIOCGWINSZ, 0, sizeof(struct winsize)},
    {TIOCSWINSZ, sizeof(struct winsize), 0},
    {TIOCMGET, 0, sizeof(s32)},
    {TIOCMSET, sizeof(s32), 0},
    {TIOCMBIS, sizeof(s32), 0},
    {TIOCMBIC, sizeof(s32), 0},
    {TIOCGSOFTCAR, 0, sizeof(s32)},
    {TIOCSSOFTCAR, sizeof(s32), 0},
    {TIOCGETD, 0, sizeof(s32)},
    {TIOCSETD, sizeof(s32), 0},
    {BLKGETSIZE, 0, sizeof(u64)},
    {BLKSSZGET, 0, sizeof(s32)},
};

struct ioctl_memory ioctl_memory(u32 cmd)
{
    struct ioctl_memory memory = {0, 0};

    for (size_t i = 0; i < ARRAY_SIZE(ioctl_table); i++) {
        if (ioctl_table[i].cmd == cmd) {
            memory.send = ioctl_table[i].send;
            memory.recv = ioctl_table[i].recv;
            return memory;
        }
    }
    if (IOC_DIR(cmd) & IOC_WRITE) {
        memory.send = IOC_SIZE(cmd);
    }
    if (IOC_DIR(cmd) & IOC_READ) {
        memory.recv = IOC_SIZE(cmd);
    }
    return memory;
}
