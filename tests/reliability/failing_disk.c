/* Stands between a program and its C library: a sync that fails once, a clock that is wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Tells whether a sync of this file fails: its path holds FAULTY_PLACE, and the file FAULTY_ONCE is there to be removed. */
static int fails(int file) {
    const char *place = getenv("FAULTY_PLACE"), *once = getenv("FAULTY_ONCE");
    char link[64], path[4096];
    ssize_t length;
    if (!place || !once) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, place) && unlink(once) == 0;
}

int fsync(int file) {
    if (fails(file)) { errno = EIO; return -1; }
    return syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    if (fails(file)) { errno = EIO; return -1; }
    return syscall(SYS_fdatasync, file);
}

/* FAULTY_CLOCK is what the time is ahead, in seconds. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    const char *ahead = getenv("FAULTY_CLOCK");
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && ahead) now->tv_sec += atol(ahead);
    return result;
}
