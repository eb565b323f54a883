// What kernels find in CUDA and CuPy, for g++ without headers: they would take longer to read than the kernels.
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef __SIZE_TYPE__ size_t;
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define UNARY(name)                 \
  extern "C" double name(double);   \
  extern "C" float name##f(float);  \
  static inline float name(float x) { return name##f(x); }
#define BINARY(name)                       \
  extern "C" double name(double, double);  \
  extern "C" float name##f(float, float);  \
  static inline float name(float x, float y) { return name##f(x, y); }
UNARY(exp) UNARY(exp2) UNARY(expm1) UNARY(log) UNARY(log1p) UNARY(log2) UNARY(sqrt) UNARY(tanh) UNARY(erf) UNARY(erfc)
UNARY(fabs) UNARY(floor) UNARY(ceil) UNARY(rint) UNARY(sin) UNARY(cos) UNARY(cbrt)
BINARY(pow) BINARY(fmax) BINARY(fmin) BINARY(copysign) BINARY(fmod)
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline float rsqrt(float x) { return 1 / sqrt(x); }
template <class T> static inline bool isnan(T x) { return x != x; }
template <class T> static inline bool isinf(T x) { return x == INFINITY || x == -INFINITY; }
template <class T> static inline bool isfinite(T x) { return x - x == 0; }
template <class T> static inline T abs(T x) { return x < 0 ? -x : x; }
template <class T> static inline T min(T x, T y) { return y < x ? y : x; }
template <class T> static inline T max(T x, T y) { return x < y ? y : x; }

template <class T> struct Raw {  // a raw parameter; its array is contiguous, and its memory goes on around it
  T* first;
  ptrdiff_t count;
  Raw(void* start, ptrdiff_t size) : first((T*)start), count(size) {}
  T& operator[](ptrdiff_t place) const { return first[place]; }
  ptrdiff_t size() const { return count; }
};
