/* The raw serial line as a file, for the console server. */
#ifndef IPC_SERIAL_FILE_H
#define IPC_SERIAL_FILE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;

/** serial_file_create() - opened for reading and writing. Return: 0 or -ENOMEM. */
MUST_CHECK int serial_file_create(struct file **out);

/** serial_rx() - a byte has arrived. Context: interrupt. A full buffer drops it. */
void serial_rx(u8 byte);

/** serial_file_init() - the input buffer; once, before serial interrupts are let in. */
void serial_file_init(void);

#endif
