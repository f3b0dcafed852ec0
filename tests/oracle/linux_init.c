/*
 * The first program of the Linux guest that the oracle boots: gives the test programs the same
 * surroundings as on Cowbell, runs what the kernel command line names behind `--`, and ends the
 * machine. Runs on Linux only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void mount_or_complain(const char *source, const char *target, const char *type)
{
    mkdir(target, 0755);
    if (mount(source, target, type, 0, NULL) != 0) {
        perror(target);
    }
}

/* As on Cowbell: what is opened as the console outlives a hangup of the line below. */
static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR);

    if (fd < 0) {
        return;
    }
    ioctl(fd, TIOCSCTTY, 0);
    dup2(fd, 0);
    dup2(fd, 1);
    dup2(fd, 2);
    if (fd > 2) {
        close(fd);
    }
}

static void enter_tmpfs(void)
{
    static const char *const copy =
        "mkdir /root-tmpfs && mount -t tmpfs -o size=90% root /root-tmpfs && "
        "cp -a /bin /etc /tests /lib /sbin /usr /root /var /home /root-tmpfs/ 2>/dev/null; "
        "mkdir -p /root-tmpfs/tmp /root-tmpfs/proc /root-tmpfs/dev /root-tmpfs/sys; "
        "chmod 1777 /root-tmpfs/tmp";
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/busybox", "sh", "-c", copy, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    if (chdir("/root-tmpfs") != 0 || chroot(".") != 0 || chdir("/") != 0) {
        perror("chroot");
    }
}

static unsigned long long read_ticks(void)
{
    unsigned low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((unsigned long long)high << 32) | low;
}

/* What was printed last must have left before the machine ends. */
static void drain_console(void)
{
    int fd = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);

    if (fd >= 0) {
        tcdrain(fd);
        usleep(200000); /* QEMU passes it on in its own time */
    }
}

/*
 * The end of a session's leader hangs the line up, which drops what was not sent yet. So somebody
 * who waits for that leads the session, and the program runs below him.
 */
static void lead_session(void)
{
    pid_t pid = fork();

    if (pid > 0) {
        waitpid(pid, NULL, 0);
        drain_console();
        _exit(0);
    }
}

/* `--in-place` as the first argument leaves the programs where the kernel unpacked them, so that a
 * measurement of memory does not count them twice, nor a process more. */
int main(int argc, char **argv)
{
    static char boot_ticks[64];
    static char *const environment[] = {"PATH=/bin:/sbin:/usr/bin:/usr/sbin:/tests",
                                        "HOME=/root",
                                        "TERM=vt100",
                                        "USER=root",
                                        boot_ticks,
                                        NULL};
    int is_in_place = 0;
    pid_t pid;

    snprintf(boot_ticks, sizeof(boot_ticks), "BOOT_TICKS=%llu", read_ticks());
    mount_or_complain("dev", "/dev", "devtmpfs");
    if (argc > 1 && strcmp(argv[1], "--in-place") == 0) {
        is_in_place = 1;
        argv++;
    } else {
        enter_tmpfs();
    }
    mount_or_complain("dev", "/dev", "devtmpfs");
    mount_or_complain("proc", "/proc", "proc");
    mount_or_complain("sys", "/sys", "sysfs");
    mkdir("/dev/shm", 01777);
    mount_or_complain("shm", "/dev/shm", "tmpfs");
    pid = fork();
    if (pid == 0) {
        setsid();
        open_console();
        if (!is_in_place) {
            lead_session();
        }
        execve(argv[1], argv + 1, environment);
        perror(argv[1]);
        _exit(127);
    }
    for (;;) {
        int status;
        pid_t done = wait(&status);

        if (done == pid || done < 0) {
            break;
        }
    }
    drain_console();
    sync();
    reboot(RB_AUTOBOOT);
    return 0;
}
