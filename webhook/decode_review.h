// Stage 1: AdmissionReview JSON -> Review.
//
// Purpose: the only reader of AdmissionReviews. Everything after it works on plain values.
// Thread-safety: decode() from many threads. Ownership: a Review holds views into `body` and a kind
// of `kinds`, which must outlive it. Errors: kInvalid, naming what is wrong (the caller answers
// 400).
// Source: k8s.io/api admission/v1 types.go (AdmissionReview, AdmissionRequest).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workload/kind.h"
#include "workload/object.h"

namespace tidemark::webhook {

enum class Operation { kCreate, kUpdate, kDelete, kConnect };
std::string_view to_string(Operation operation);  // "CREATE", ...

struct Review {
  std::string uid;  // echoed in the answer
  Operation operation = Operation::kCreate;
  std::string kind_name;  // of the request: "Deployment"
  // nullptr: a kind that carries no template that we know; it is admitted untouched.
  const workload::Kind* kind = nullptr;
  std::string sub_resource;  // "status", "scale", "" for the object itself
  std::string ns;
  std::string name;           // "" on CREATE with generateName
  std::string user;           // userInfo.username
  std::string field_manager;  // options.fieldManager; "" where the client named none
  bool dry_run = false;

  // The objects' JSON as submitted and as stored; "" where the request has none.
  std::string_view object_json;
  std::string_view old_object_json;
  // Read where `kind` is known and the operation is CREATE or UPDATE of the object itself, without
  // their managedFields.
  std::optional<workload::Object> object;
  std::optional<workload::Object> old_object;  // on UPDATE
};

class ReviewDecoder {
 public:
  ReviewDecoder();
  ~ReviewDecoder();
  ReviewDecoder(const ReviewDecoder&) = delete;
  ReviewDecoder& operator=(const ReviewDecoder&) = delete;

  Result<Review> decode(std::string_view body, const workload::KindTable& kinds);

 private:
  // A parser's memory is eight times the text: what one review needed serves the next ones, the
  // last one first, so that it is still in the processor's cache.
  struct Buffers;
  std::unique_ptr<Buffers> take();
  void give_back(std::unique_ptr<Buffers> buffers);

  std::mutex mutex_;
  std::vector<std::unique_ptr<Buffers>> idle_;
};

// The same, once.
Result<Review> decode_review(std::string_view body, const workload::KindTable& kinds);

}  // namespace tidemark::webhook
