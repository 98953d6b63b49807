#include "webhook/decode_review.h"

#include <simdjson.h>

#include <utility>

namespace tidemark::webhook {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

constexpr std::string_view kApiVersion = "admission.k8s.io/v1";
constexpr std::string_view kReviewKind = "AdmissionReview";

// What one pass over the fields collects, before anything is concluded from it.
struct Fields {
  std::string api_version, review_kind;
  bool has_request = false;
  std::string group, version;
  std::string operation;
  Review review;
};

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

// The bytes of an object; none for null.
error_code read_raw(ondemand::value value, std::string_view& into) {
  bool null = false;
  if (const auto error = value.is_null().get(null)) return error;
  if (null) return simdjson::SUCCESS;
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  return object.raw_json().get(into);
}

// Calls `field` with every key and value of an object.
template <typename Field>
error_code for_each_field(ondemand::object object, const Field& field) {
  for (auto entry : object) {
    std::string_view key;
    if (const auto error = entry.unescaped_key().get(key)) return error;
    // The key's buffer is used again by the next string: copied by whoever keeps it.
    const std::string name(key);
    if (const auto error = field(name, entry.value())) return error;
  }
  return simdjson::SUCCESS;
}

// null counts as an object without fields.
template <typename Field>
error_code for_each_field(ondemand::value value, const Field& field) {
  bool null = false;
  if (const auto error = value.is_null().get(null)) return error;
  if (null) return simdjson::SUCCESS;
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  return for_each_field(object, field);
}

error_code read_request(ondemand::value request, Fields& fields) {
  Review& review = fields.review;
  return for_each_field(request, [&](const std::string& key, ondemand::value value) {
    if (key == "uid") return read_string(value, review.uid);
    if (key == "kind") {
      return for_each_field(value, [&](const std::string& part, ondemand::value text) {
        if (part == "group") return read_string(text, fields.group);
        if (part == "version") return read_string(text, fields.version);
        if (part == "kind") return read_string(text, review.kind_name);
        return simdjson::SUCCESS;
      });
    }
    if (key == "operation") return read_string(value, fields.operation);
    if (key == "subResource") return read_string(value, review.sub_resource);
    if (key == "namespace") return read_string(value, review.ns);
    if (key == "name") return read_string(value, review.name);
    if (key == "dryRun") return read_bool(value, review.dry_run);
    if (key == "userInfo") {
      return for_each_field(value, [&](const std::string& part, ondemand::value text) {
        return part == "username" ? read_string(text, review.user) : simdjson::SUCCESS;
      });
    }
    if (key == "options") {
      return for_each_field(value, [&](const std::string& part, ondemand::value text) {
        return part == "fieldManager" ? read_string(text, review.field_manager) : simdjson::SUCCESS;
      });
    }
    if (key == "object") return read_raw(value, review.object_json);
    if (key == "oldObject") return read_raw(value, review.old_object_json);
    return simdjson::SUCCESS;
  });
}

// `copy`: a padded copy of the body, which the raw views point into afterwards.
error_code read_review(const simdjson::padded_string& copy, Fields& fields) {
  ondemand::parser parser;
  ondemand::document document;
  if (const auto error = parser.iterate(copy).get(document)) return error;
  ondemand::object root;
  if (const auto error = document.get_object().get(root)) return error;
  const auto error = for_each_field(root, [&](const std::string& key, ondemand::value value) {
    if (key == "apiVersion") return read_string(value, fields.api_version);
    if (key == "kind") return read_string(value, fields.review_kind);
    if (key == "request") {
      fields.has_request = true;
      return read_request(value, fields);
    }
    return simdjson::SUCCESS;
  });
  if (error) return error;
  // There is a place where the parser stands only while there is something left to read.
  return document.current_location().error() ? simdjson::SUCCESS : simdjson::TRAILING_CONTENT;
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

Result<workload::Object> read_object(std::string_view json, const workload::Kind& kind,
                                     std::string_view field) {
  auto object = workload::parse_object(json, kind, workload::ManagedFields::kSkip);
  if (!object) return invalid("request." + std::string(field) + ": " + object.error().message);
  return object;
}

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

Result<Review> decode_review(std::string_view body, const workload::KindTable& kinds) {
  const simdjson::padded_string copy(body);
  Fields fields;
  if (const auto error = read_review(copy, fields)) {
    return invalid(std::string(simdjson::error_message(error)));
  }
  if (fields.api_version != kApiVersion || fields.review_kind != kReviewKind) {
    return invalid("expected " + std::string(kApiVersion) + " " + std::string(kReviewKind));
  }
  if (!fields.has_request) return invalid("request is missing");

  Review review = std::move(fields.review);
  if (review.uid.empty()) return invalid("request.uid is missing");
  const auto operation = parse_operation(fields.operation);
  if (!operation) return invalid("request.operation is missing or unknown");
  review.operation = *operation;

  // The views point into the copy, which ends here: the same bytes of the body take their place.
  const auto in_body = [&](std::string_view view) {
    return view.empty()
               ? std::string_view()
               : body.substr(static_cast<std::size_t>(view.data() - copy.data()), view.size());
  };
  review.object_json = in_body(review.object_json);
  review.old_object_json = in_body(review.old_object_json);

  const workload::Kind* kind = kinds.find(fields.group, review.kind_name);
  if (kind != nullptr && kind->version == fields.version) review.kind = kind;
  const bool writes =
      review.operation == Operation::kCreate || review.operation == Operation::kUpdate;
  if (review.kind == nullptr || !review.sub_resource.empty() || !writes) return review;

  if (review.object_json.empty()) return invalid("request.object is missing");
  auto object = read_object(review.object_json, *review.kind, "object");
  if (!object) return fail(object.error());
  review.object = std::move(*object);
  if (review.operation == Operation::kUpdate) {
    if (review.old_object_json.empty()) return invalid("request.oldObject is missing");
    auto old_object = read_object(review.old_object_json, *review.kind, "oldObject");
    if (!old_object) return fail(old_object.error());
    review.old_object = std::move(*old_object);
  }
  return review;
}

}  // namespace tidemark::webhook
