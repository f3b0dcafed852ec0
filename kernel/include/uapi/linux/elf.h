/* The parts of ELF64 that a program loader reads. Source: System V gABI, chapters 4 and 5. */
#ifndef UAPI_LINUX_ELF_H
#define UAPI_LINUX_ELF_H

#include <stdint.h>

#define ELF_IDENT_SIZE 16
#define ELFCLASS64     2
#define ELFDATA2LSB    1

#define ET_EXEC   2
#define ET_DYN    3
#define EM_X86_64 62

#define PT_LOAD         1
#define PT_INTERP       3
#define PT_PHDR         6
#define PT_GNU_STACK    0x6474e551
#define PT_GNU_PROPERTY 0x6474e553

#define PF_X 1
#define PF_W 2
#define PF_R 4

struct elf64_header {
    uint8_t e_ident[ELF_IDENT_SIZE];
    uint16_t e_type;
    uint16_t e_machine;
    uint32_t e_version;
    uint64_t e_entry;
    uint64_t e_phoff;
    uint64_t e_shoff;
    uint32_t e_flags;
    uint16_t e_ehsize;
    uint16_t e_phentsize;
    uint16_t e_phnum;
    uint16_t e_shentsize;
    uint16_t e_shnum;
    uint16_t e_shstrndx;
};
_Static_assert(sizeof(struct elf64_header) == 64, "ELF64 file header is 64 bytes");

struct elf64_phdr {
    uint32_t p_type;
    uint32_t p_flags;
    uint64_t p_offset;
    uint64_t p_vaddr;
    uint64_t p_paddr;
    uint64_t p_filesz;
    uint64_t p_memsz;
    uint64_t p_align;
};
_Static_assert(sizeof(struct elf64_phdr) == 56, "ELF64 program header is 56 bytes");

#endif
