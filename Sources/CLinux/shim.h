// What Linux has and Swift's Glibc module leaves out.
#include <sys/epoll.h>
#include <malloc.h>
#include <sys/inotify.h>
#include <sched.h>
#include <sys/types.h>

// Of fcntl.h and sched.h, which tell it to GNU programs only.
#define SYNC_FILE_RANGE_WRITE 2
int sync_file_range(int descriptor, off_t offset, off_t count, unsigned int flags);
int sched_getaffinity(pid_t thread, size_t size, cpu_set_t *set);
