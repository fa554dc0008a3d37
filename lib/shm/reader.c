// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/shm/layout.h"
#include "lib/shm/seqlock.h"

/* Per thread: where to go on when a guarded read meets a missing page. */
static _Thread_local sigjmp_buf guard_jump;
static _Thread_local volatile sig_atomic_t guard_armed;
static struct sigaction guard_previous;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	if (guard_armed) {
		guard_armed = 0;
		siglongjmp(guard_jump, 1);
	}
	if (guard_previous.sa_flags & SA_SIGINFO && guard_previous.sa_sigaction) {
		guard_previous.sa_sigaction(sig, info, context);
		return;
	}
	/* Not ours: fall back to what would have happened without us. */
	signal(SIGBUS, SIG_DFL);
	raise(SIGBUS);
}

int shm_reader_install_guard(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, &guard_previous) < 0 ? -errno : 0;
}

int shm_guarded(int (*fn)(void *arg), void *arg)
{
	int err;

	if (sigsetjmp(guard_jump, 0) != 0)
		return -EFAULT;
	guard_armed = 1;
	err = fn(arg);
	guard_armed = 0;
	return err;
}

int boot_id_parse(const char *text, uint8_t ret_id[16])
{
	unsigned int digits = 0;

	memset(ret_id, 0, 16);
	for (; *text && *text != '\n' && digits < 32; text++) {
		const char *hex = "0123456789abcdef";
		const char *at = strchr(hex, *text | 0x20);

		if (*text == '-')
			continue;
		if (!at)
			return -EINVAL;
		ret_id[digits / 2] = (uint8_t)(ret_id[digits / 2] << 4 | (uint8_t)(at - hex));
		digits++;
	}
	return digits == 32 ? 0 : -EINVAL;
}

int boot_id_read(uint8_t ret_id[16])
{
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	return boot_id_parse(text, ret_id);
}

bool shm_name_is_good(const char *name)
{
	size_t bytes = strlen(name);

	if (!bytes || bytes > SHM_NAME_MAX || name[0] == '.' || strchr(name, '/'))
		return false;
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}

int shm_reader_init(struct shm_reader *reader, const char *runtime_dir, const char *name)
{
	int n;

	memset(reader, 0, sizeof(*reader));
	n = snprintf(reader->path, sizeof(reader->path), "%s/%s" SHM_FILE_SUFFIX, runtime_dir,
		     name);
	if (n < 0 || (size_t)n >= sizeof(reader->path))
		return -ENAMETOOLONG;
	return boot_id_read(reader->boot_id);
}

struct check {
	const struct shm_header *header;
	uint64_t file_bytes;
	uint64_t sections[SHM_SECTION_COUNT];
};

_Static_assert(sizeof(((struct shm_reader *)0)->sections) >= sizeof(((struct check *)0)->sections),
	       "the reader has room for every section");

/* Newer minor versions append; an older one lacks what we would read. */
static bool version_fits(const struct shm_header *header)
{
	const uint32_t oldest_minor = SHM_VERSION_MINOR;

	return header->version_major == SHM_VERSION_MAJOR &&
	       header->version_minor + 1u > oldest_minor;
}

/* Everything but the file's size is read through the guard. */
static int check_header(void *arg)
{
	struct check *check = arg;
	const struct shm_header *header = check->header;
	struct shm_section expected[SHM_SECTION_COUNT];
	uint64_t total_bytes = shm_layout(expected);

	if (header->magic != SHM_MAGIC)
		return -EBADMSG;
	if (!version_fits(header))
		return -EPROTO;
	if (header->version_minor == SHM_VERSION_MINOR &&
	    (header->total_bytes != total_bytes || header->section_count != SHM_SECTION_COUNT))
		return -EMSGSIZE;
	if (header->total_bytes > check->file_bytes || header->total_bytes < total_bytes ||
	    header->section_count < SHM_SECTION_COUNT)
		return -EMSGSIZE;
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++) {
		struct shm_section section = header->sections[i];

		if (section.element_bytes < expected[i].element_bytes ||
		    section.offset_bytes % 8 != 0 || section.offset_bytes < SHM_PAGE_BYTES ||
		    section.size_bytes < expected[i].size_bytes ||
		    section.offset_bytes > header->total_bytes ||
		    section.size_bytes > header->total_bytes - section.offset_bytes)
			return -EMSGSIZE;
		/* Only the scalars may grow in place; arrays are walked by our size. */
		if (i != SHM_SECTION_LIVE && section.element_bytes != expected[i].element_bytes)
			return -EPROTO;
		check->sections[i] = section.offset_bytes;
	}
	return observe_u64(&header->ready) == SHM_MAGIC ? 0 : -EAGAIN;
}

/* On success the reader has the new mapping in place of the old one. */
static int map_file(struct shm_reader *reader, int fd)
{
	struct check check;
	struct stat st;
	void *base;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	check.file_bytes = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || check.file_bytes < sizeof(struct shm_header))
		return -EMSGSIZE;
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	check.header = base;
	err = shm_guarded(check_header, &check);
	if (err) {
		munmap(base, (size_t)st.st_size);
		return err == -EFAULT ? -EMSGSIZE : err;
	}
	shm_reader_close(reader);
	reader->base = base;
	reader->size_bytes = check.file_bytes;
	reader->device = st.st_dev;
	reader->inode = st.st_ino;
	memcpy(reader->sections, check.sections, sizeof(check.sections));
	return 0;
}

static int remap(struct shm_reader *reader)
{
	int fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	err = map_file(reader, fd);
	close(fd);
	return err;
}

int shm_reader_refresh(struct shm_reader *reader)
{
	struct stat st;

	if (!reader->base)
		return remap(reader);
	if (stat(reader->path, &st) < 0)
		return 0;
	if (st.st_dev == reader->device && st.st_ino == reader->inode) {
		/* Cut or grown by a stranger: nothing in it can be trusted. */
		if ((uint64_t)st.st_size == reader->size_bytes)
			return 0;
		shm_reader_close(reader);
		return -EMSGSIZE;
	}
	/* What is there now may be unreadable; then the old one stays in use, and
	 * its heartbeat tells how old it is. */
	remap(reader);
	return 0;
}

void shm_reader_close(struct shm_reader *reader)
{
	if (reader->base)
		munmap((void *)(uintptr_t)reader->base, (size_t)reader->size_bytes);
	reader->base = NULL;
	reader->size_bytes = 0;
}

const struct shm_header *shm_reader_header(const struct shm_reader *reader)
{
	return reader->base;
}

const void *shm_reader_section(const struct shm_reader *reader, unsigned int id)
{
	if (!reader->base || id >= SHM_SECTION_COUNT)
		return NULL;
	return (const char *)reader->base + reader->sections[id];
}

const char *shm_reader_explain(const struct shm_reader *reader, int error, char *out,
			       size_t out_bytes)
{
	const char *what;

	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		what = "no agent has published a table here; start conntide-agent (as root: "
		       "conntide run), or name its directory with --runtime-dir";
		break;
	case -EACCES:
	case -EPERM:
		what = "not allowed to read it; run as root or join the group conntide";
		break;
	case -EBADMSG:
		what = "this is not a conntide table";
		break;
	case -EPROTO:
		what = "written by an agent of another version; restart the agent so that both "
		       "are of the same version";
		break;
	case -EMSGSIZE:
		what = "the file is cut short or damaged; restart the agent, which replaces it";
		break;
	case -EAGAIN:
		what = "the agent stopped in the middle of an update; restart it";
		break;
	case -EFAULT:
		what = "the file was cut while it was read; restart the agent, which replaces it";
		break;
	case -ELOOP:
		what = "this is a symbolic link, which is refused";
		break;
	default:
		what = strerror(-error);
	}
	snprintf(out, out_bytes, "%s: %s", reader->path, what);
	return out;
}
