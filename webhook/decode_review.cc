#include "webhook/decode_review.h"

#include <simdjson.h>

#include <cstddef>
#include <utility>

#include "base/function_ref.h"
#include "workload/object_reader.h"

namespace tidemark::webhook {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

constexpr std::string_view kApiVersion = "admission.k8s.io/v1";
constexpr std::string_view kReviewKind = "AdmissionReview";

// Of a text whose buffers are kept, and how many of them: half a megabyte each, as many as a few
// processors use at once.
constexpr std::size_t kMaxKeptBytes = std::size_t{64} * 1024;
constexpr std::size_t kMaxIdle = 4;

error_code read_string(ondemand::value value, std::string& into) {
  bool null = false;
  if (const auto error = value.is_null().get(null)) return error;
  if (null) return simdjson::SUCCESS;
  std::string_view text;
  if (const auto error = value.get_string().get(text)) return error;
  into = text;
  return simdjson::SUCCESS;
}

error_code read_bool(ondemand::value value, bool& into) {
  bool null = false;
  if (const auto error = value.is_null().get(null)) return error;
  return null ? simdjson::SUCCESS : value.get_bool().get(into);
}

using VisitField = FunctionRef<error_code(std::string_view, ondemand::value)>;

// Calls `field` with every key and value of an object.
error_code for_each_field(ondemand::object object, VisitField field) {
  for (auto entry : object) {
    std::string_view key;
    if (const auto error = entry.unescaped_key().get(key)) return error;
    if (const auto error = field(key, entry.value())) return error;
  }
  return simdjson::SUCCESS;
}

// null counts as an object without fields.
error_code for_each_field(ondemand::value value, VisitField field) {
  bool null = false;
  if (const auto error = value.is_null().get(null)) return error;
  if (null) return simdjson::SUCCESS;
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  return for_each_field(object, field);
}

std::optional<Operation> parse_operation(std::string_view name) {
  for (const Operation operation :
       {Operation::kCreate, Operation::kUpdate, Operation::kDelete, Operation::kConnect}) {
    if (name == to_string(operation)) return operation;
  }
  return std::nullopt;
}

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::kInvalid, "AdmissionReview: " + std::move(message));
}

// One pass over the review, in which the objects are read where they stand.
class ReviewReader {
 public:
  // `copy`: of `body`, padded for `parser`. `out`: a new review; of no use after an error.
  ReviewReader(std::string_view body, simdjson::padded_string_view copy, ondemand::parser& parser,
               const workload::KindTable& kinds, Review& out)
      : body_(body), copy_(copy), parser_(parser), kinds_(kinds), review_(out) {}

  Status read() {
    if (const auto error = read_root()) {
      if (problem_) return fail(*std::move(problem_));
      return invalid(std::string(simdjson::error_message(error)));
    }
    if (api_version_ != kApiVersion || review_kind_ != kReviewKind) {
      return invalid("expected " + std::string(kApiVersion) + " " + std::string(kReviewKind));
    }
    if (!has_request_) return invalid("request is missing");
    if (review_.uid.empty()) return invalid("request.uid is missing");
    const auto operation = parse_operation(operation_);
    if (!operation) return invalid("request.operation is missing or unknown");
    review_.operation = *operation;
    review_.kind = kind();
    if (!has_workload()) {
      review_.object.reset();
      review_.old_object.reset();
      return {};
    }
    return complete_objects();
  }

 private:
  // As far as the review has been read; nullptr for a kind that is not known.
  const workload::Kind* kind() const {
    const workload::Kind* found = kinds_.find(group_, review_.kind_name);
    return found != nullptr && found->version == version_ ? found : nullptr;
  }
  // A write of an object that is looked into, as far as the review has been read.
  bool has_workload() const {
    const auto operation = parse_operation(operation_);
    const bool writes = operation == Operation::kCreate || operation == Operation::kUpdate;
    return writes && review_.sub_resource.empty() && kind() != nullptr;
  }

  error_code read_root() {
    if (const auto error = parser_.iterate(copy_).get(document_)) return error;
    ondemand::object root;
    if (const auto error = document_.get_object().get(root)) return error;
    const auto error = for_each_field(root, [&](std::string_view key, ondemand::value value) {
      if (key == "apiVersion") return read_string(value, api_version_);
      if (key == "kind") return read_string(value, review_kind_);
      if (key == "request") {
        has_request_ = true;
        return read_request(value);
      }
      return simdjson::SUCCESS;
    });
    if (error) return error;
    // There is a place where the parser stands only while there is something left to read.
    return document_.current_location().error() ? simdjson::SUCCESS : simdjson::TRAILING_CONTENT;
  }

  error_code read_request(ondemand::value request) {
    return for_each_field(request, [&](std::string_view key, ondemand::value value) {
      if (key == "uid") return read_string(value, review_.uid);
      if (key == "kind") {
        return for_each_field(value, [&](std::string_view part, ondemand::value text) {
          if (part == "group") return read_string(text, group_);
          if (part == "version") return read_string(text, version_);
          if (part == "kind") return read_string(text, review_.kind_name);
          return simdjson::SUCCESS;
        });
      }
      if (key == "operation") return read_string(value, operation_);
      if (key == "subResource") return read_string(value, review_.sub_resource);
      if (key == "namespace") return read_string(value, review_.ns);
      if (key == "name") return read_string(value, review_.name);
      if (key == "dryRun") return read_bool(value, review_.dry_run);
      if (key == "userInfo") {
        return for_each_field(value, [&](std::string_view part, ondemand::value text) {
          return part == "username" ? read_string(text, review_.user) : simdjson::SUCCESS;
        });
      }
      if (key == "options") {
        return for_each_field(value, [&](std::string_view part, ondemand::value text) {
          return part == "fieldManager" ? read_string(text, review_.field_manager)
                                        : simdjson::SUCCESS;
        });
      }
      if (key == "object") return read_object(value, key, review_.object_json, review_.object);
      if (key == "oldObject") {
        return read_object(value, key, review_.old_object_json, review_.old_object);
      }
      return simdjson::SUCCESS;
    });
  }

  // `json`: its bytes; none for null. `object` is read only where what came before says how, which
  // an API server always puts first; complete_objects() is for all others.
  error_code read_object(ondemand::value value, std::string_view field, std::string_view& json,
                         std::optional<workload::Object>& object) {
    json = {};
    object.reset();
    bool null = false;
    if (const auto error = value.is_null().get(null)) return error;
    if (null) return simdjson::SUCCESS;
    const std::string_view token = value.raw_json_token();
    ondemand::object fields;
    if (const auto error = value.get_object().get(fields)) return error;
    if (has_workload()) {
      const auto read =
          workload::read_object(fields, *kind(), workload::ManagedFields::kSkip, object.emplace());
      if (!read) {
        problem_ = invalid_object(field, read.error());
        return simdjson::TAPE_ERROR;
      }
    } else {
      std::string_view skipped;
      if (const auto error = fields.raw_json().get(skipped)) return error;
    }
    // The parser stands at the next token now: the last brace before it ends the object.
    const char* next = nullptr;
    if (const auto error = document_.current_location().get(next)) return error;
    const auto begin = static_cast<std::size_t>(token.data() - copy_.data());
    const auto before = body_.substr(begin, static_cast<std::size_t>(next - token.data()));
    json = before.substr(0, before.rfind('}') + 1);
    return simdjson::SUCCESS;
  }

  Status complete_objects() {
    if (review_.object_json.empty()) return invalid("request.object is missing");
    auto read = complete(review_.object_json, "object", review_.object);
    if (!read || review_.operation == Operation::kCreate) {
      review_.old_object.reset();
      return read;
    }
    if (review_.old_object_json.empty()) return invalid("request.oldObject is missing");
    return complete(review_.old_object_json, "oldObject", review_.old_object);
  }

  Status complete(std::string_view json, std::string_view field,
                  std::optional<workload::Object>& object) {
    if (object && object->kind == review_.kind) return {};
    auto read = workload::parse_object(json, *review_.kind, workload::ManagedFields::kSkip);
    if (!read) return fail(invalid_object(field, read.error()));
    object = *std::move(read);
    return {};
  }

  static Error invalid_object(std::string_view field, const Error& error) {
    return invalid("request." + std::string(field) + ": " + error.message).error();
  }

  std::string_view body_;
  const simdjson::padded_string_view copy_;
  ondemand::parser& parser_;
  const workload::KindTable& kinds_;
  ondemand::document document_;

  std::string api_version_, review_kind_;
  bool has_request_ = false;
  std::string group_, version_;
  std::string operation_;
  Review& review_;
  std::optional<Error> problem_;  // of an object, where the walk ended
};

}  // namespace

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::kCreate:
      return "CREATE";
    case Operation::kUpdate:
      return "UPDATE";
    case Operation::kDelete:
      return "DELETE";
    case Operation::kConnect:
      return "CONNECT";
  }
  return "";
}

struct ReviewDecoder::Buffers {
  std::string copy;
  ondemand::parser parser;
};

ReviewDecoder::ReviewDecoder() = default;
ReviewDecoder::~ReviewDecoder() = default;

Result<Review> ReviewDecoder::decode(std::string_view body, const workload::KindTable& kinds) {
  auto buffers = take();
  buffers->copy.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  buffers->copy.assign(body).append(simdjson::SIMDJSON_PADDING, ' ');
  const simdjson::padded_string_view copy(buffers->copy.data(), body.size(), buffers->copy.size());
  Result<Review> review;
  const auto read = ReviewReader(body, copy, buffers->parser, kinds, *review).read();
  if (body.size() <= kMaxKeptBytes) give_back(std::move(buffers));
  if (!read) review = fail(read.error());
  return review;
}

std::unique_ptr<ReviewDecoder::Buffers> ReviewDecoder::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Buffers>();
  auto buffers = std::move(idle_.back());
  idle_.pop_back();
  return buffers;
}

void ReviewDecoder::give_back(std::unique_ptr<Buffers> buffers) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(buffers));
}

Result<Review> decode_review(std::string_view body, const workload::KindTable& kinds) {
  return ReviewDecoder().decode(body, kinds);
}

}  // namespace tidemark::webhook
