// FunctionRef: a view of a callable, for as long as the call that it is an argument of.
//
// Purpose: a function that calls back is compiled once, and not once for each lambda that it is
// given; nothing is allocated. Thread-safety and errors: the callable's own. Ownership: none, the
// callable outlives the view. Source: C++26 std::function_ref.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

namespace tidemark {

template <typename Signature>
class FunctionRef;

template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
 public:
  template <std::invocable<Args...> F>
  requires(!std::same_as<F, FunctionRef>) FunctionRef(
      const F& callable)  // NOLINT(google-explicit-constructor): a lambda is an argument
      : callable_(std::addressof(callable)), call_([](const void* with, Args... args) -> R {
          return (*static_cast<const F*>(with))(std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(callable_, std::forward<Args>(args)...); }

 private:
  const void* callable_;
  R (*call_)(const void*, Args...);
};

}  // namespace tidemark
