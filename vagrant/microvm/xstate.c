/* Lets Debian 12's linux.uml run on processors that have more registers than it knows (Intel's AMX, from 2023 on).
 *
 * User-Mode Linux 6.1 keeps the registers of a process in 2,696 bytes (HOST_FP_SIZE, arch/x86/um/user-offsets.c), up to
 * AVX-512 and the protection keys. With AMX they are 11,008 bytes, and the machine's kernel then takes nothing less than
 * all of them (xstateregs_set, arch/x86/kernel/fpu/regset.c): every guest dies at its first process, in put_fp_registers.
 * Linux 6.13 has it right. Until then this library stands between the two by LD_PRELOAD: behind what linux.uml gives it
 * puts zeros, by which AMX is as unused as it is in a guest, whose processes never get the machine's leave to use it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static long (*next)(enum __ptrace_request, pid_t, void *, void *);
static size_t size; /* of all registers of this machine, in bytes; 0: not asked yet */
/* Not on the stack, which is small where this is called. One thread calls it: a guest has one processor. */
static char whole[1 << 16];

__attribute__((constructor)) static void find(void)
{
    next = dlsym(RTLD_NEXT, "ptrace");
}

long ptrace(enum __ptrace_request request, ...)
{
    struct iovec all = {whole, sizeof whole}, *known;
    va_list arguments;
    va_start(arguments, request);
    pid_t pid = va_arg(arguments, pid_t);
    void *address = va_arg(arguments, void *), *data = va_arg(arguments, void *);
    va_end(arguments);

    if (request != PTRACE_SETREGSET || address != (void *)NT_X86_XSTATE)
        return next(request, pid, address, data);
    if (size == 0) {
        long failed = next(PTRACE_GETREGSET, pid, address, &all);
        if (failed)
            return failed;
        size = all.iov_len;
        memset(whole, 0, sizeof whole);
    }
    known = data;
    if (known->iov_len >= size)
        return next(request, pid, address, data);
    memcpy(whole, known->iov_base, known->iov_len);
    all.iov_len = size;
    return next(request, pid, address, &all);
}
