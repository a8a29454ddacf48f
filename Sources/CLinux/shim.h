// Declares functions of Linux that Swift's Glibc module lacks.
#include <sys/epoll.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <pthread.h>
#include <sched.h>
#include <sys/types.h>

// The headers fcntl.h, pthread.h and sched.h declare these only if _GNU_SOURCE is defined.
#define SYNC_FILE_RANGE_WRITE 2
int sync_file_range(int descriptor, off_t offset, off_t count, unsigned int flags);
int sched_getaffinity(pid_t thread, size_t size, cpu_set_t *set);
int pthread_setname_np(pthread_t thread, const char *name);
