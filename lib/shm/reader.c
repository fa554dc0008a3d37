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

#include "lib/base/build_info.h"
#include "lib/base/num.h"
#include "lib/shm/layout.h"
#include "lib/shm/seqlock.h"

/* More than any version will need, and cheap to map. */
#define HOSTS_BYTES_MAX (UINT64_C(16) << 20)

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
	/* Not from our mapping: do what would have happened without the guard. */
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
		int digit = num_hex_digit(*text);

		if (*text == '-')
			continue;
		if (digit < 0)
			return -EINVAL;
		ret_id[digits / 2] = (uint8_t)(ret_id[digits / 2] << 4 | digit);
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
	uint64_t total_bytes; /* out, all that follows */
	uint64_t hosts_offset_bytes;
	uint64_t instance_id;
	uint64_t sections[SHM_SECTION_COUNT];
	uint16_t version_major, version_minor;
	char agent_version[32];
};

_Static_assert(sizeof(((struct shm_reader *)0)->sections) >= sizeof(((struct check *)0)->sections),
	       "the reader has room for every section");

/* Newer minor versions append; an older one lacks fields we read. */
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
	check->version_major = header->version_major;
	check->version_minor = header->version_minor;
	memcpy(check->agent_version, header->agent_version, sizeof(check->agent_version) - 1);
	if (!version_fits(header))
		return -EPROTO;
	check->total_bytes = header->total_bytes;
	check->hosts_offset_bytes = header->hosts_offset_bytes;
	check->instance_id = header->instance_id;
	if (header->version_minor == SHM_VERSION_MINOR &&
	    (check->total_bytes != total_bytes || header->section_count != SHM_SECTION_COUNT ||
	     check->hosts_offset_bytes != shm_hosts_offset()))
		return -EMSGSIZE;
	if (check->hosts_offset_bytes > check->file_bytes ||
	    check->hosts_offset_bytes % SHM_PAGE_BYTES ||
	    check->hosts_offset_bytes < shm_hosts_offset() || check->total_bytes < total_bytes ||
	    check->total_bytes < check->hosts_offset_bytes ||
	    check->total_bytes - check->hosts_offset_bytes > HOSTS_BYTES_MAX ||
	    header->section_count < SHM_SECTION_COUNT)
		return -EMSGSIZE;
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++) {
		struct shm_section section = header->sections[i];
		bool hosts = shm_section_names_hosts(i);
		uint64_t from = hosts ? check->hosts_offset_bytes : 0;
		uint64_t end = hosts ? check->total_bytes : check->hosts_offset_bytes;

		if (section.element_bytes < expected[i].element_bytes ||
		    section.offset_bytes % 8 != 0 || section.offset_bytes > end ||
		    section.offset_bytes < from + SHM_PAGE_BYTES ||
		    section.size_bytes < expected[i].size_bytes ||
		    section.size_bytes > end - section.offset_bytes)
			return -EMSGSIZE;
		/* Only the scalars may grow in place; arrays are walked by our size. */
		if (i != SHM_SECTION_LIVE && section.element_bytes != expected[i].element_bytes)
			return -EPROTO;
		check->sections[i] = section.offset_bytes;
	}
	return observe_u64(&header->ready) == SHM_MAGIC ? 0 : -EAGAIN;
}

static int check_hosts_header(void *arg)
{
	struct check *check = arg;
	const struct shm_hosts_header *hosts =
		(const void *)((const char *)check->header + check->hosts_offset_bytes);

	if (hosts->magic != SHM_MAGIC)
		return -EBADMSG;
	return hosts->instance_id == check->instance_id ? 0 : -ESTALE;
}

/* Puts the hosts file behind the table at `base`; on failure zeros stay there. */
static int map_hosts(const char *table_path, char *base, struct check *check)
{
	size_t bytes = (size_t)(check->total_bytes - check->hosts_offset_bytes);
	int stem = (int)(strlen(table_path) - strlen(SHM_FILE_SUFFIX));
	char path[256];
	struct stat st;
	int fd, err;

	snprintf(path, sizeof(path), "%.*s" SHM_HOSTS_SUFFIX, stem, table_path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) < 0 ? -errno : 0;
	if (!err && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < bytes))
		err = -EMSGSIZE;
	base += check->hosts_offset_bytes;
	if (!err && mmap(base, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		err = -errno;
	close(fd);
	if (err)
		return err;
	check->header = (const void *)(base - check->hosts_offset_bytes);
	err = shm_guarded(check_hosts_header, check);
	/* Content of another instance must not be shown. */
	if (err && mmap(base, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
			   MAP_FAILED)
		return -ENOMEM;
	return err == -EFAULT ? -EMSGSIZE : err;
}

/* Both files in one range of addresses. NULL, and errno. */
static char *map_both(struct shm_reader *reader, int fd, struct check *check, int *ret_hosts_error)
{
	size_t bytes = (size_t)check->total_bytes;
	char *base =
		mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mmap(base, (size_t)check->hosts_offset_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED) {
		munmap(base, bytes);
		return NULL;
	}
	*ret_hosts_error = map_hosts(reader->path, base, check);
	return base;
}

/* On success the reader has the new mapping in place of the old one. */
static int map_file(struct shm_reader *reader, int fd)
{
	struct check check = {.agent_version = ""};
	struct stat st;
	void *base;
	int err, hosts_error = 0;

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
	munmap(base, (size_t)st.st_size);
	reader->version_major = check.version_major;
	reader->version_minor = check.version_minor;
	memcpy(reader->agent_version, check.agent_version, sizeof(reader->agent_version));
	if (err)
		return err == -EFAULT ? -EMSGSIZE : err;
	base = map_both(reader, fd, &check, &hosts_error);
	if (!base)
		return -errno;
	shm_reader_close(reader);
	reader->base = base;
	reader->size_bytes = check.total_bytes;
	reader->file_bytes = check.file_bytes;
	reader->hosts_error = hosts_error;
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
	int err;

	if (!reader->base)
		return remap(reader);
	if (stat(reader->path, &st) < 0)
		return 0;
	if (st.st_dev == reader->device && st.st_ino == reader->inode) {
		/* Somebody else truncated or extended it: nothing in it can be trusted. */
		if ((uint64_t)st.st_size == reader->file_bytes)
			return 0;
		shm_reader_close(reader);
		return -EMSGSIZE;
	}
	/* If the new file cannot be read, the old mapping stays in use, and its heartbeat shows
	 * its age. */
	err = remap(reader);
	if (err != -EPROTO)
		return 0;
	shm_reader_close(reader);
	return err;
}

void shm_reader_close(struct shm_reader *reader)
{
	if (reader->base)
		munmap((void *)(uintptr_t)reader->base, (size_t)reader->size_bytes);
	reader->base = NULL;
	reader->size_bytes = 0;
	reader->hosts_error = 0;
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

/* After an upgrade the program that was not restarted is the older one. */
static void explain_version(const struct shm_reader *reader, char *out, size_t out_bytes)
{
	bool newer = reader->version_major > SHM_VERSION_MAJOR;
	char version[32];
	size_t n = 0;

	/* It goes to terminals and logs: only characters that versions consist of. */
	for (; n + 1 < sizeof(version) && reader->agent_version[n] > ' ' &&
	       reader->agent_version[n] <= '~';
	     n++)
		version[n] = reader->agent_version[n];
	version[n] = '\0';
	snprintf(out, out_bytes,
		 "%s: written by %s agent (%s, format %u.%u; this is %s, format %u.%u): restart %s",
		 reader->path, newer ? "a newer" : "an older", n ? version : "?",
		 reader->version_major, reader->version_minor, build_version, SHM_VERSION_MAJOR,
		 SHM_VERSION_MINOR,
		 newer ? "conntide-exporter, or install the conntide of the agent's version"
		       : "conntide-agent");
}

const char *shm_reader_hosts_explain(const struct shm_reader *reader, char *out, size_t out_bytes)
{
	int stem = (int)(strlen(reader->path) - strlen(SHM_FILE_SUFFIX));
	const char *what;

	switch (reader->hosts_error) {
	case 0:
		out[0] = '\0';
		return out;
	case -EACCES:
	case -EPERM:
		what = "not allowed to read addresses of hosts; run as root or join the group "
		       "conntide, and where that does not exist, create it and restart the agent";
		break;
	case -ESTALE:
		what = "belongs to another start of the agent; try again";
		break;
	case -ENOENT:
		what = "is gone; restart the agent, which makes it anew";
		break;
	default:
		what = "damaged; restart the agent, which replaces it";
	}
	snprintf(out, out_bytes, "%.*s" SHM_HOSTS_SUFFIX ": %s", stem, reader->path, what);
	return out;
}

/* An agent has run here: its lock file remains. */
static bool has_lock(const struct shm_reader *reader)
{
	int stem = (int)(strlen(reader->path) - strlen(SHM_FILE_SUFFIX));
	char path[sizeof(reader->path) + 8];
	struct stat st;

	snprintf(path, sizeof(path), "%.*s.lock", stem, reader->path);
	return lstat(path, &st) == 0;
}

const char *shm_reader_explain(const struct shm_reader *reader, int error, char *out,
			       size_t out_bytes)
{
	const char *what;

	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		what = has_lock(reader)
			       ? "the table was removed; conntide-agent makes it again within "
				 "seconds if it runs, else start it"
			       : "no table is published here; start conntide-agent (as root: "
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
		explain_version(reader, out, out_bytes);
		return out;
	case -EMSGSIZE:
		what = "the file is cut short or damaged; restart the agent, which replaces it";
		break;
	case -EAGAIN:
		what = "the agent has not finished starting, or stopped in the middle of an "
		       "update; restart it if this stays";
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
