/* A fork bomb: forks until fork fails, then everything of it is killed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void bomb(void)
{
    setpgid(0, 0);
    for (;;) {
        if (fork() < 0) {
            kill(0, SIGKILL);
        }
    }
}

int main(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        bomb();
    }
    waitpid(pid, &status, 0);
    kill(-pid, SIGKILL);
    printf("bomb ended by signal %d\n", WTERMSIG(status));
    return 0;
}
