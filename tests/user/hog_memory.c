/* Touches memory until the system stops it: the kernel must end this process and no other. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {
            char *p =
                mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

            if (p == MAP_FAILED) {
                _exit(3); /* the failing call got ENOMEM: as good an end as a kill */
            }
            memset(p, 1, 1 << 20);
        }
    }
    waitpid(pid, &status, 0);
    printf("hog ended: %s\n", WIFSIGNALED(status) ? "killed" : "out of memory");
    return 0;
}
