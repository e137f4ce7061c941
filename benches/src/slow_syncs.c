/* Loaded into a program before its libraries: each sync of a file takes SLOW_SYNCS_US microseconds
 * longer, and nothing else does. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int slow(long result) {
    int error = errno;
    const char *delay = getenv("SLOW_SYNCS_US");
    long long us = delay == NULL ? 0 : atoll(delay);
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    errno = error;
    return (int)result;
}

int fsync(int fd) { return slow(syscall(SYS_fsync, fd)); }

int fdatasync(int fd) { return slow(syscall(SYS_fdatasync, fd)); }
