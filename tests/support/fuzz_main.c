/* A main for fuzz targets built without libFuzzer: hands each file of the corpus to the target
 * once, so that `make check` replays all that fuzzing ever found.
 *
 * Arguments are files or directories; without any, the corpus is $top_srcdir/tests/fuzz/corpus/<x>
 * for a program named fuzz_<x>. An empty or missing corpus is a failure: it would prove nothing. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return -1;
    }
    /* An exact allocation, so that a sanitizer sees a read past the end. */
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL)
        abort();
    size_t got = fread(data, 1, size, f);
    fclose(f);
    if (got != size) {
        fprintf(stderr, "%s: short read\n", path);
        free(data);
        return -1;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

/* Replays a file, or all files of a directory. Returns how many, or -1. */
static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path, (size_t)st.st_size);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        perror(path);
        return -1;
    }
    int total = 0;
    for (struct dirent *e; total >= 0 && (e = readdir(dir)) != NULL;) {
        char child[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        int n = replay(child);
        total = n < 0 ? -1 : total + n;
    }
    closedir(dir);
    return total;
}

static int replay_default(const char *program)
{
    const char *base = strrchr(program, '/');
    base = base != NULL ? base + 1 : program;
    if (strncmp(base, "fuzz_", 5) == 0)
        base += 5;
    const char *top = getenv("top_srcdir");
    char dir[4096];
    snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", base);
    return replay(dir);
}

int main(int argc, char **argv)
{
    int total = argc > 1 ? 0 : replay_default(argv[0]);
    for (int i = 1; i < argc && total >= 0; i++) {
        int n = replay(argv[i]);
        total = n < 0 ? -1 : total + n;
    }
    printf("%s: %d inputs replayed\n", argv[0], total);
    return total > 0 ? 0 : 1;
}
