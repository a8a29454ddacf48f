// What Linux has and Swift's Glibc module leaves out.
#include <sys/epoll.h>
#include <malloc.h>
#include <sys/inotify.h>
