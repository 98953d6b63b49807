// Image names: what parses is printed and parsed again to the same, also as a stamp and as a pin.
#include "image/reference.h"

#include <string>

#include "fuzz/target.h"
#include "image/digest.h"
#include "workload/object.h"
#include "workload/stamp.h"

namespace tidemark::fuzz {
namespace {

// A message quotes the first 160 bytes of a name, each of which may become six (\ufffd), and a
// reason.
constexpr std::size_t kMaxMessageBytes = 160 * 6 + 120;
// OCI distribution-spec; distribution/reference counts the registry in.
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::size_t kMaxTagBytes = 128;

void check_stamp(const image::Reference& reference, std::string_view written) {
  const auto digest = image::Digest::parse("sha256:" + std::string(64, 'd'));
  const workload::Stamp stamp = workload::Stamp::make(reference, *digest);
  const auto again = workload::Stamp::parse(stamp.str());
  require(again.has_value() && *again == stamp, "a stamp is read as it was written");
  require(stamp.is_for(reference), "a stamp speaks of the reference that it was made of");

  if (reference.digest()) return;
  const auto pinned = image::Reference::parse(workload::pinned_image(written, *digest));
  require(pinned.has_value() && pinned->digest() == *digest && pinned->tag() == reference.tag() &&
              pinned->repository() == reference.repository(),
          "a pin is the same image by digest");
  const auto unpinned = workload::unpinned_image(workload::pinned_image(written, *digest), stamp);
  require(unpinned.has_value(), "a pin of ours is known by its stamp");
  const auto back = image::Reference::parse(*unpinned);
  require(back.has_value() && *back == reference, "a pin taken back is the image as written");
}

}  // namespace

void run(std::string_view input) {
  if (const auto digest = image::Digest::parse(input)) {
    require(digest->str() == input, "a digest has one spelling");
    require(image::Digest::parse(std::string(digest->algorithm()) + ":" +
                                 std::string(digest->hex())) == *digest,
            "a digest is algorithm and hex");
  }
  if (const auto stamp = workload::Stamp::parse(input)) {
    require(stamp->str() == input, "a stamp has one spelling");
  }
  static_cast<void>(workload::read_slot_image(input));

  const auto reference = image::Reference::parse(input);
  if (!reference) {
    require(reference.error().kind == ErrorKind::kInvalid, "a bad name is kInvalid");
    require(reference.error().message.size() <= kMaxMessageBytes, "a message is short");
    return;
  }
  require(!reference->registry().empty() && !reference->repository().empty(), "names have parts");
  require(reference->repository().size() <= kMaxNameBytes, "repositories have a bound");
  require(reference->tag() || reference->digest(), "there is a tag or a digest");
  require(
      !reference->tag() || (!reference->tag()->empty() && reference->tag()->size() <= kMaxTagBytes),
      "tags have a bound");

  const auto again = image::Reference::parse(reference->str());
  require(again.has_value() && *again == *reference, "a normalised name means the same");
  require(again->str() == reference->str(), "a normalised name is normal");
  require(reference->tagged().empty() != reference->tag().has_value(), "tagged() needs a tag");
  require(!reference->manifest_name().empty(), "a manifest has a name");
  if (reference->tag()) check_stamp(*reference, input);
}

}  // namespace tidemark::fuzz
