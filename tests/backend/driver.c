/* A driver of the CUDA version that STUB_VERSION names, which shows no device: for what CUDA's own runtime, inside the
   real CuPy, says about it. Built as libcuda.so.1 by test_cuda.py. */
#include <stdlib.h>
#include <string.h>

#define NO_DEVICE 100 /* CUDA_ERROR_NO_DEVICE */

int cuDriverGetVersion(int *version) {
  const char *given = getenv("STUB_VERSION");
  *version = given ? atoi(given) : 0;
  return 0;
}

int cuInit(unsigned flags) { (void)flags; return NO_DEVICE; }

static int nothing(void) { return NO_DEVICE; }

int cuGetProcAddress(const char *name, void **address, int version, unsigned long long flags) {
  (void)version;
  (void)flags;
  if (!strcmp(name, "cuDriverGetVersion")) *address = (void *)cuDriverGetVersion;
  else if (!strcmp(name, "cuInit")) *address = (void *)cuInit;
  else if (!strcmp(name, "cuGetProcAddress")) *address = (void *)cuGetProcAddress;
  else *address = (void *)nothing;
  return 0;
}

int cuGetProcAddress_v2(const char *name, void **address, int version, unsigned long long flags, int *status) {
  if (status) *status = 0;
  return cuGetProcAddress(name, address, version, flags);
}
