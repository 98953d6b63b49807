// Markers: the comments that say which values of a YAML file follow a policy.
//
//   image: ghcr.io/x/app:1.2.3  # {"$imagepolicy": "shop:app"}         name:tag, or name:tag@digest
//   tag: 1.2.3                  # {"$imagepolicy": "shop:app:tag"}     also :name, :digest
//
// Purpose: replaces the value beside each marker by what its policy has chosen, and keeps every
// other byte: comments, order, quotes, anchors, line ends. A value's quotes stay; a plain one gets
// double quotes where YAML would read the new text as anything but a string ("1.10").
//
// The form is that of Flux's image automation (image-automation-controller internal/update, kyaml
// fieldmeta), so a repository can be driven by either: the comment is one JSON object of strings.
// What Flux ignores in silence is told as a trouble or an unknown policy, and it differs:
//  - A marker belongs to the value that ends on its line, with blanks and commas between. Flux also
//    takes a comment of its own line above a list's element.
//  - Flux joins block scalars and values of several lines into one line; they are left alone here.
//  - Flux drops tags (!!str), and writes "!!null" before what was null; tags are kept here.
//  - Flux writes "" for a digest that is not known; here the value stays.
//  - Flux formats the whole file anew, and passes over one that has a list or a scalar on top.
// Both leave keys, aliases, empty values, and what stands behind a closing bracket alone.
//
// Thread-safety: pure functions. Ownership: values. Errors: kInvalid for what is no YAML (a
// template of Helm), naming the line; kTooLarge. A file is changed as a whole or not at all: what
// is written has been read again, and differs from what was there in the replaced values alone.
// Source: fluxcd.io "Configure image updates"; yaml.org/spec/1.1, 1.2.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidemark::gitops {

// Files with markers are written by people; generated ones of megabytes (bundles of CRDs) hold
// none.
inline constexpr std::size_t kMaxMarkedFileBytes = 1U << 20U;
// The deepest fields of a pod template are 12 levels down. What libyaml holds grows with each.
inline constexpr std::size_t kMaxYamlNesting = 100;

struct PolicyImage {
  std::string name{};  // as it is written: "ghcr.io/x/app"
  std::string tag{};
  std::string digest{};  // "": is not written

  bool operator==(const PolicyImage&) const = default;
};
// By "namespace:name".
using PolicyImages = std::map<std::string, PolicyImage, std::less<>>;

struct MarkerChange {
  std::size_t line = 0;  // from 1
  std::string policy{};  // "shop:app"
  std::string part{};    // "": the image; "tag", "name", "digest"
  // "Deployment/shop/api": kind, namespace and name of the document, without those it lacks.
  std::string object{};
  std::string before{};
  std::string after{};
};

struct MarkerTrouble {
  std::size_t line = 0;
  std::string message{};
};

// A marker of a policy that is not among the images. That is no trouble where it is somebody
// else's.
struct UnknownPolicy {
  std::size_t line = 0;
  std::string policy{};
};

struct Rewritten {
  std::string text{};
  std::vector<MarkerChange> changes{};
  std::vector<MarkerTrouble> troubles{};
  std::vector<UnknownPolicy> unknown{};
};

// False for a file that need not be read as YAML: Flux screens files in the same way.
bool may_have_markers(std::string_view text);

Result<Rewritten> rewrite_markers(std::string_view text, const PolicyImages& images);

}  // namespace tidemark::gitops
