// OpenSslPtr: an owning pointer to one of OpenSSL's objects.
//
// Purpose: RAII for what net/ and certs/ get from OpenSSL, whose objects each have a function of
// their own that frees them. For .cc files: no header of ours includes OpenSSL's.
// Thread-safety and errors: as std::unique_ptr.
#pragma once

#include <memory>

namespace tidemark::net {

template <auto Free>
struct OpenSslFree {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

// OpenSslPtr<X509, X509_free>
template <typename T, auto Free>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree<Free>>;

}  // namespace tidemark::net
