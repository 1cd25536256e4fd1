/* A disk that syncs slowly: each fdatasync and fsync takes SLOW_SYNC_US microseconds longer. For LD_PRELOAD. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MICROSECOND = 1000, SECOND_IN_MICROSECONDS = 1000000 };

static int slowly(const char *name, int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *text = getenv("SLOW_SYNC_US");
    long longer = text ? atol(text) : 0;
    struct timespec span = {longer / SECOND_IN_MICROSECONDS, longer % SECOND_IN_MICROSECONDS * MICROSECOND};
    int outcome = real(descriptor);
    nanosleep(&span, NULL);
    return outcome;
}

int fsync(int descriptor) { return slowly("fsync", descriptor); }
int fdatasync(int descriptor) { return slowly("fdatasync", descriptor); }
