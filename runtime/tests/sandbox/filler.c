// Fills the disk in one of the ways that there are, or shows that what fills nothing works; prints what went wrong.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const off_t PIECE = 50 << 20;
static const char *way;
static int number;

static int fail(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(9);
}

static int file(void) {
    char name[64];
    snprintf(name, sizeof name, "f%d-%d", getpid(), __sync_add_and_fetch(&number, 1));
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd < 0) fail("open");
    if (strstr(way, "linked")) {
        char other[80];
        snprintf(other, sizeof other, "%s.other", name);
        if (link(name, other)) fail("link");
    }
    if (strstr(way, "nameless") && unlink(name)) fail("unlink");
    return fd;
}

static void fill(void) {
    static char bytes[1 << 20];
    memset(bytes, 1, sizeof bytes);
    int kept = strstr(way, "kept") ? file() : -1;
    for (off_t at = 0;; at += PIECE) {
        int fd = kept >= 0 ? kept : file();
        if (strstr(way, "alloc")) {
            if (fallocate(fd, 0, 0, PIECE)) fail("fallocate");
        } else if (strstr(way, "zero")) {
            if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, PIECE)) fail("fallocate");
        } else if (kept >= 0) {
            if (fallocate(fd, FALLOC_FL_KEEP_SIZE, at, PIECE)) fail("fallocate");
        } else if (strstr(way, "map")) {
            if (ftruncate(fd, PIECE)) fail("ftruncate");
            char *mapped = mmap(0, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (mapped == MAP_FAILED) fail("mmap");
            for (off_t place = 0; place < PIECE; place += 4096) mapped[place] = 1;
            if (!strstr(way, "nameless")) munmap(mapped, PIECE);
        } else {
            for (off_t written = 0; written < PIECE; written += sizeof bytes)
                if (write(fd, bytes, sizeof bytes) < 0) fail("write");
        }
        // What is nameless stays open, or mapped.
        if (kept < 0 && (!strstr(way, "nameless") || strstr(way, "map"))) close(fd);
    }
}

static void *fill_beside(void *nothing) {
    fill();
    return nothing;
}

static void expect(long result, int error, const char *what) {
    if (error ? result >= 0 || errno != error : result < 0) printf("%s: %ld, %s\n", what, result, strerror(errno));
}

// All that programs do with these calls and that leaves less than 200 MiB on disk.
static int work(void) {
    struct { short type, whence; long long start, length; int rest[6]; } range = {0, 0, 0, 1 << 20, {0}};
    struct stat known;
    int fd = file(), pair[2];
    for (int turn = 0; turn < 20; turn++) {
        expect(fallocate(fd, 0, 0, PIECE), 0, "fallocate");
        expect(ftruncate(fd, 0), 0, "ftruncate");
    }
    for (int turn = 0; turn < 20; turn++) expect(fallocate(fd, 0, 0, PIECE), 0, "fallocate of what is there");
    expect(fallocate(fd, FALLOC_FL_KEEP_SIZE, PIECE, 1 << 20), 0, "behind the end");
    expect(fstat(fd, &known), 0, "fstat");
    if (known.st_size != PIECE || known.st_blocks * 512LL < PIECE + (1 << 20))
        printf("%lld %lld\n", (long long)known.st_size, known.st_blocks * 512LL);
    expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PIECE), 0, "a hole");
    expect(posix_fallocate(fd, 0, 1000) ? -1 : 0, 0, "posix_fallocate");
    expect(fallocate(fd, 0, -1, 5), EINVAL, "before the start");
    expect(fallocate(fd, 0, 0, 0), EINVAL, "nothing");
    expect(fallocate(-1, 0, 0, 5), EBADF, "no descriptor");
    expect(fallocate(77, 0, 0, 5), EBADF, "a closed descriptor");
    expect(fallocate(open("/", O_RDONLY), 0, 0, 5), EBADF, "a descriptor for reading");
    expect(pipe(pair), 0, "pipe");
    expect(fallocate(pair[1], 0, 0, 5), ESPIPE, "a pipe");
    expect(fallocate(fd, 0x1000, 0, 5), EOPNOTSUPP, "no mode");
    expect(ioctl(fd, 0x4030582a, &range), ENOTTY, "FS_IOC_RESVSP64");
    expect(ioctl(fd, 0x40305828, &range), ENOTTY, "FS_IOC_RESVSP");
    expect(ioctl(fd, 0x40305839, &range), ENOTTY, "FS_IOC_ZERO_RANGE");
    expect(fallocate(memfd_create("m", 0), 0, 0, PIECE), 0, "memory");
    expect(ftruncate(fd, 100L << 30), EFBIG, "larger than a file may be");
    puts("done");
    return 0;
}

int main(int count, char **words) {
    way = words[1];
    if (count > 2 && chdir(words[2])) fail("chdir");
    signal(SIGXFSZ, SIG_IGN);
    if (!strcmp(way, "work")) return work();
    if (!strcmp(way, "once")) {
        for (int turn = 0; turn < 6; turn++)
            if (fallocate(file(), 0, 0, PIECE)) fail("fallocate");
        return 0;
    }
    if (!strcmp(way, "one")) {
        int fd = file();
        if (fallocate(fd, 0, 0, 40L << 30)) fail("fallocate");
    }
    if (strstr(way, "threads"))
        for (int thread = 0; thread < 4; thread++) {
            pthread_t started;
            if (pthread_create(&started, 0, fill_beside, 0)) fail("pthread_create");
        }
    if (strstr(way, "processes"))
        for (int process = 0; process < 4; process++)
            if (!fork()) break;
    if (strstr(way, "daemon") && fork()) return sleep(60);
    if (strstr(way, "daemon")) setsid();
    fill();
    return 0;
}
