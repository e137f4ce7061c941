/* Loaded before a program's libraries, it shifts the wall clock that the program sees, and nothing
 * else, by the seconds that stand in the file WALL_CLOCK_SHIFT names: a number of eight bytes. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long long *shift_s;

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("WALL_CLOCK_SHIFT");
	int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	if (file < 0)
		return;
	void *page = mmap(NULL, sizeof *shift_s, PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (page != MAP_FAILED)
		shift_s = page;
}

int clock_gettime(clockid_t id, struct timespec *at)
{
	int done = (int)syscall(SYS_clock_gettime, id, at);
	if (done == 0 && id == CLOCK_REALTIME && shift_s)
		at->tv_sec += *shift_s;
	return done;
}
