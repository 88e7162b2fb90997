/* A memory allocator that never gives memory out twice: every copy a process ever made stays where a scan finds it.
 * For the memory tests alone (LD_PRELOAD): free does nothing, realloc always moves, memory grows without end. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES (32UL << 20)
#define HEADER_BYTES 16UL

static atomic_flag busy = ATOMIC_FLAG_INIT;
static uintptr_t next_free, chunk_end;

static uintptr_t place_in(uintptr_t start, size_t alignment)
{
    return (start + HEADER_BYTES + alignment - 1) & ~(uintptr_t)(alignment - 1);
}

static void *take(size_t size, size_t alignment)
{
    if (alignment < HEADER_BYTES)
        alignment = HEADER_BYTES;
    while (atomic_flag_test_and_set(&busy))
        ;
    uintptr_t place = place_in(next_free, alignment);
    if (next_free == 0 || place + size > chunk_end) {
        size_t length = size + alignment + HEADER_BYTES;
        length = length < CHUNK_BYTES ? CHUNK_BYTES : (length + 4095) & ~4095UL;
        void *chunk = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == MAP_FAILED) {
            atomic_flag_clear(&busy);
            return NULL;
        }
        chunk_end = (uintptr_t)chunk + length;
        place = place_in((uintptr_t)chunk, alignment);
    }
    next_free = place + size;
    *(size_t *)(place - HEADER_BYTES) = size;
    atomic_flag_clear(&busy);
    return (void *)place;
}

void *malloc(size_t size) { return take(size, HEADER_BYTES); }
void free(void *place) { (void)place; }
size_t malloc_usable_size(void *place) { return place ? *(size_t *)((char *)place - HEADER_BYTES) : 0; }
void *memalign(size_t alignment, size_t size) { return take(size, alignment); }
void *aligned_alloc(size_t alignment, size_t size) { return take(size, alignment); }

void *calloc(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return take(total, HEADER_BYTES); /* fresh pages are zero and never used before */
}

void *realloc(void *place, size_t size)
{
    void *moved = take(size, HEADER_BYTES);
    size_t old = malloc_usable_size(place);
    if (moved && place)
        memcpy(moved, place, old < size ? old : size);
    return moved;
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    *result = take(size, alignment);
    return *result ? 0 : ENOMEM;
}
