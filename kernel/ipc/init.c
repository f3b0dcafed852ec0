/* Starts everything in kernel/ipc, in the order in which the parts need each other. */
#include <ipc/init.h>

#include <ipc/connection.h>
#include <ipc/epoll.h>
#include <ipc/file.h>
#include <ipc/message.h>
#include <ipc/path.h>
#include <ipc/pipe.h>
#include <ipc/port.h>
#include <ipc/record_lock.h>
#include <ipc/serial_file.h>

void ipc_init(void)
{
    file_init();
    port_init();
    message_init();
    connection_init();
    path_init();
    pipe_init();
    epoll_init();
    record_lock_init();
    serial_file_init();
}
