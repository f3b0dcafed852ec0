/* Opens descriptors of every kind without closing one, in several processes, until none is left. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int leak(void)
{
    int fds[2];

    for (;;) {
        if (pipe(fds) < 0 || eventfd(0, 0) < 0 || memfd_create("leak", 0) < 0 ||
            open("/dev/null", O_RDWR) < 0) {
            return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? 0 : 1;
        }
    }
}

int main(void)
{
    int bad = 0;

    for (int i = 0; i < 10; i++) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
            _exit(leak());
        }
        waitpid(pid, &status, 0);
        bad += status != 0;
    }
    printf("leaks ended, %d badly\n", bad);
    return bad != 0;
}
