// Numbers of 16 bits as CuPy's classes for them: computed in float, rounded to the nearest, ties to even.
struct float16 {
  _Float16 data;
  float16() {}
  float16(float value) : data((_Float16)value) {}
  template <class T> explicit float16(T value) : float16((float)value) {}
  template <class T> float16& operator=(const T& value) { return *this = float16(value); }
  operator float() const { return (float)data; }
};

struct bfloat16 {  // the upper half of a float
  unsigned short data;
  bfloat16() {}
  bfloat16(float value) {
    unsigned bits;
    __builtin_memcpy(&bits, &value, 4);
    data = value != value ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  }
  template <class T> explicit bfloat16(T value) : bfloat16((float)value) {}
  template <class T> bfloat16& operator=(const T& value) { return *this = bfloat16(value); }
  operator float() const {
    const unsigned bits = (unsigned)data << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
  }
};

