#include "gitops/markers.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tidemark::gitops {
namespace {

using namespace std::string_literals;

constexpr std::string_view kDigest =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

PolicyImages images() {
  return {{"shop:app", {.name = "ghcr.io/x/app", .tag = "1.10.3"}},
          {"shop:short", {.name = "ghcr.io/x/short", .tag = "1.10"}},
          {"shop:pinned", {.name = "ghcr.io/x/pin", .tag = "v2", .digest = std::string(kDigest)}}};
}

Rewritten rewritten(const std::string& text) {
  auto result = rewrite_markers(text, images());
  if (!result) {
    ADD_FAILURE() << result.error().message << " in\n" << text;
    return {};
  }
  return std::move(*result);
}

// Lines of "line: policy[:part] object before -> after", of troubles, and of unknown policies.
std::string told(const Rewritten& result) {
  std::string out;
  for (const MarkerChange& each : result.changes) {
    out += std::to_string(each.line) + ": " + each.policy + (each.part.empty() ? "" : ":") +
           each.part + " [" + each.object + "] " + each.before + " -> " + each.after + "\n";
  }
  for (const MarkerTrouble& each : result.troubles) {
    out += std::to_string(each.line) + ": " + each.message + "\n";
  }
  for (const UnknownPolicy& each : result.unknown) {
    out += std::to_string(each.line) + ": unknown " + each.policy + "\n";
  }
  return out;
}

struct Example {
  std::string before;
  std::string after;
};

void expect_rewritten(const std::vector<Example>& examples) {
  for (const Example& each : examples) {
    const Rewritten result = rewritten(each.before);
    EXPECT_EQ(result.text, each.after);
    EXPECT_EQ(result.changes.empty(), each.before == each.after) << each.before;
    EXPECT_EQ(told({.troubles = result.troubles, .unknown = result.unknown}), "") << each.before;
    // Once more changes nothing.
    const Rewritten again = rewritten(each.after);
    EXPECT_EQ(again.text, each.after);
    EXPECT_EQ(told(again), "");
  }
}

// Where a marker changes nothing, and what is told of it.
void expect_left_alone(const std::vector<Example>& examples) {
  for (const auto& [text, what] : examples) {
    const Rewritten result = rewritten(text);
    EXPECT_EQ(result.text, text);
    EXPECT_EQ(told(result), what) << text;
  }
}

TEST(MarkersTest, Deployment) {
  const Rewritten result = rewritten(R"(# The shop's API.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api      # not {"$imagepolicy": "shop:app"}
  namespace: shop
spec:
  template:
    spec:
      initContainers:
        - image: "ghcr.io/x/pin:v1"   # {"$imagepolicy": "shop:pinned"}
          name: migrate
      containers:
        - name:   api
          image:  ghcr.io/x/app:1.9.0  # {"$imagepolicy": "shop:app"}
          args: [ "--image=ghcr.io/x/app:1.9.0",   '--x' ]
)");
  EXPECT_EQ(result.text, R"(# The shop's API.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api      # not {"$imagepolicy": "shop:app"}
  namespace: shop
spec:
  template:
    spec:
      initContainers:
        - image: "ghcr.io/x/pin:v2@)" +
                             std::string(kDigest) + R"("   # {"$imagepolicy": "shop:pinned"}
          name: migrate
      containers:
        - name:   api
          image:  ghcr.io/x/app:1.10.3  # {"$imagepolicy": "shop:app"}
          args: [ "--image=ghcr.io/x/app:1.9.0",   '--x' ]
)");
  EXPECT_EQ(
      told(result),
      "11: shop:pinned [Deployment/shop/api] ghcr.io/x/pin:v1 -> ghcr.io/x/pin:v2@" +
          std::string(kDigest) +
          "\n15: shop:app [Deployment/shop/api] ghcr.io/x/app:1.9.0 -> ghcr.io/x/app:1.10.3\n");
}

TEST(MarkersTest, OtherKinds) {
  expect_rewritten(
      {
          {R"(kind: CronJob
spec:
  jobTemplate: {spec: {template: {spec: {containers: [
    {name: job, image: 'ghcr.io/x/app:1.9.0', # {"$imagepolicy": "shop:app"}
     tty: true}, {name: side,
     image: ghcr.io/x/short:1.9 # {"$imagepolicy": "shop:short"}
    } ] } } } }
)",
           R"(kind: CronJob
spec:
  jobTemplate: {spec: {template: {spec: {containers: [
    {name: job, image: 'ghcr.io/x/app:1.10.3', # {"$imagepolicy": "shop:app"}
     tty: true}, {name: side,
     image: ghcr.io/x/short:1.10 # {"$imagepolicy": "shop:short"}
    } ] } } } }
)"},
          {R"(kind: HelmRelease
spec:
  values:
    image:
      repository: old.io/x/app # {"$imagepolicy": "shop:app:name"}
      tag: 1.9.0 # {"$imagepolicy": "shop:app:tag"}
    side: {image: {
      repository: ghcr.io/old, # {"$imagepolicy": "shop:short:name"}
      tag: 1.9 # {"$imagepolicy": "shop:short:tag"}
    }}
    pinned:
      tag: v1 # {"$imagepolicy": "shop:pinned:tag"}
      digest: sha256:00 # {"$imagepolicy": "shop:pinned:digest"}
)",
           R"(kind: HelmRelease
spec:
  values:
    image:
      repository: ghcr.io/x/app # {"$imagepolicy": "shop:app:name"}
      tag: 1.10.3 # {"$imagepolicy": "shop:app:tag"}
    side: {image: {
      repository: ghcr.io/x/short, # {"$imagepolicy": "shop:short:name"}
      tag: "1.10" # {"$imagepolicy": "shop:short:tag"}
    }}
    pinned:
      tag: v2 # {"$imagepolicy": "shop:pinned:tag"}
      digest: )" +
               std::string(kDigest) +
               R"( # {"$imagepolicy": "shop:pinned:digest"}
)"},
          {R"(apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images:
- name: app
  newName: old # {"$imagepolicy": "shop:short:name"}
  newTag: "1.9" # {"$imagepolicy": "shop:short:tag"}
- {name: other, newTag: v1}
- name: pin
  digest: '' # {"$imagepolicy": "shop:pinned:digest"}
)",
           R"(apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images:
- name: app
  newName: ghcr.io/x/short # {"$imagepolicy": "shop:short:name"}
  newTag: "1.10" # {"$imagepolicy": "shop:short:tag"}
- {name: other, newTag: v1}
- name: pin
  digest: ')" + std::string(kDigest) +
               R"(' # {"$imagepolicy": "shop:pinned:digest"}
)"},
          {R"(apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build}
spec:
  params: [{name: IMAGE, default: x}]
  steps:
    - image: ghcr.io/x/app:1 # {"$imagepolicy": "shop:app"}
      script: |
        #!/bin/sh
        echo "image: ghcr.io/x/app:1" # {"$imagepolicy": "shop:app"}
)",
           R"(apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build}
spec:
  params: [{name: IMAGE, default: x}]
  steps:
    - image: ghcr.io/x/app:1.10.3 # {"$imagepolicy": "shop:app"}
      script: |
        #!/bin/sh
        echo "image: ghcr.io/x/app:1" # {"$imagepolicy": "shop:app"}
)"},
      });
}

TEST(MarkersTest, EveryOtherByteStays) {
  expect_rewritten({
      // Line ends, byte order mark, no last line end, blanks at ends of lines.
      {"\xEF\xBB\xBF"
       "a: x # {\"$imagepolicy\": \"shop:app:tag\"}  \r\nb:  y\t\r\n\r\n",
       "\xEF\xBB\xBF"
       "a: 1.10.3 # {\"$imagepolicy\": \"shop:app:tag\"}  \r\nb:  y\t\r\n\r\n"},
      {"a: x # {\"$imagepolicy\": \"shop:app:tag\"}",
       "a: 1.10.3 # {\"$imagepolicy\": \"shop:app:tag\"}"},
      // U+0085, U+2028, U+2029 break lines, too.
      {"a: x # {\"$imagepolicy\": \"shop:app:tag\"}\xC2\x85"
       "b: y\xE2\x80\xA8"
       "c: z",
       "a: 1.10.3 # {\"$imagepolicy\": \"shop:app:tag\"}\xC2\x85"
       "b: y\xE2\x80\xA8"
       "c: z"},
      // Characters of two, three and four bytes, before it and on its line.
      {"# ÄÖÜ 日本 😀\nü: ä\n\"日\": {😀: é, x: y, # {\"$imagepolicy\": \"shop:app:tag\"}\n ß: ''}\n",
       "# ÄÖÜ 日本 😀\nü: ä\n\"日\": {😀: é, x: 1.10.3, # {\"$imagepolicy\": \"shop:app:tag\"}\n ß: "
       "''}\n"},
      {"- x # {\"$imagepolicy\": \"shop:app\"}\n-   'y' # {\"$imagepolicy\": \"shop:app\"}\n- - "
       "image: \"\"\t# {\"$imagepolicy\": \"shop:app\"}\n",
       "- ghcr.io/x/app:1.10.3 # {\"$imagepolicy\": \"shop:app\"}\n-   'ghcr.io/x/app:1.10.3' # "
       "{\"$imagepolicy\": \"shop:app\"}\n- - image: \"ghcr.io/x/app:1.10.3\"\t# "
       "{\"$imagepolicy\": \"shop:app\"}\n"},
      // Anchors and tags, also on a line of their own.
      {"a: &tag x # {\"$imagepolicy\": \"shop:app:tag\"}\nb: *tag\n",
       "a: &tag 1.10.3 # {\"$imagepolicy\": \"shop:app:tag\"}\nb: *tag\n"},
      {"a: !!str &t  # why\n\n  # and\n  '1' # {\"$imagepolicy\": \"shop:app:tag\"}\n",
       "a: !!str &t  # why\n\n  # and\n  '1.10.3' # {\"$imagepolicy\": \"shop:app:tag\"}\n"},
      {"a: ! x # {\"$imagepolicy\": \"shop:app:tag\"}\nb: !<tag:x,1:y> x # {\"$imagepolicy\": "
       "\"shop:app:tag\"}\n",
       "a: ! 1.10.3 # {\"$imagepolicy\": \"shop:app:tag\"}\nb: !<tag:x,1:y> 1.10.3 # "
       "{\"$imagepolicy\": \"shop:app:tag\"}\n"},
      // Quotes that escape, and a value that was none.
      {R"(a: "\x41\"#" # {"$imagepolicy": "shop:app:tag"}
b: 'it''s #1' # {"$imagepolicy": "shop:app:tag"}
c: ~ # {"$imagepolicy": "shop:app:tag"}
d: a#b # {"$imagepolicy": "shop:app:tag"}
)",
       R"(a: "1.10.3" # {"$imagepolicy": "shop:app:tag"}
b: '1.10.3' # {"$imagepolicy": "shop:app:tag"}
c: 1.10.3 # {"$imagepolicy": "shop:app:tag"}
d: 1.10.3 # {"$imagepolicy": "shop:app:tag"}
)"},
  });
}

TEST(MarkersTest, EachDocumentHasItsOwnObject) {
  const std::string text = R"(%YAML 1.1
--- # {"$imagepolicy": "other:x"}
spec: {image: x} # nothing
image: x # {"$imagepolicy": "shop:app:tag"}
metadata: {labels: {name: no}, name: one}
kind: A
...
# between
---
kind: B
metadata:
  namespace: shop
image: x # {"$imagepolicy": "shop:app:tag"}
---
- kind: C
- x # {"$imagepolicy": "shop:app:tag"}
--- x # {"$imagepolicy": "shop:app:tag"}
---
metadata: {name: {name: deep}, ? [name] : no}
image: x # {"$imagepolicy": "shop:app:tag"}
)";
  EXPECT_EQ(told(rewritten(text)),
            "4: shop:app:tag [A/one] x -> 1.10.3\n"
            "13: shop:app:tag [B/shop] x -> 1.10.3\n"
            "16: shop:app:tag [] x -> 1.10.3\n"
            "17: shop:app:tag [] x -> 1.10.3\n"
            "20: shop:app:tag [] x -> 1.10.3\n"
            "2: unknown other:x\n");
}

// As kyaml's fieldmeta reads them: one JSON object of strings is the whole comment.
TEST(MarkersTest, WhatAMarkerLooksLike) {
  expect_rewritten({{R"(a: x #{"$imagepolicy":"shop:app:tag"}
b: x ## {"$imagepolicy": "shop:app:tag"}
c: x # { "other": "y",  "$imagepolicy" : "shop:app:tag" }
d: x # {"$imagepolicy": "none:x", "$imagepolicy": "shop:app:tag"}
e: x # {"$imagepolicy": "shop:app\u003atag"}
)",
                     R"(a: 1.10.3 #{"$imagepolicy":"shop:app:tag"}
b: 1.10.3 ## {"$imagepolicy": "shop:app:tag"}
c: 1.10.3 # { "other": "y",  "$imagepolicy" : "shop:app:tag" }
d: 1.10.3 # {"$imagepolicy": "none:x", "$imagepolicy": "shop:app:tag"}
e: 1.10.3 # {"$imagepolicy": "shop:app\u003atag"}
)"}});
  expect_left_alone({{R"(a: x # {"$imagepolicy": "shop:app"} and more
b: x # see {"$imagepolicy": "shop:app"}
c: x # {"$imagepolicy": "shop:app"
d: x # {"$ImagePolicy": "shop:app"}
e: x # ["$imagepolicy"]
f: '# {"$imagepolicy": "shop:app"}'
)",
                      ""}});
}

TEST(MarkersTest, WhatAMarkerMayNotSay) {
  expect_left_alone(
      {{"a: x # {\"$imagepolicy\": \"app\"}\n", "1: the marker \"app\" is no namespace:name\n"},
       {"a: x # {\"$imagepolicy\": \":app\"}\n", "1: the marker \":app\" is no namespace:name\n"},
       {"a: x # {\"$imagepolicy\": \"shop:\"}\n", "1: the marker \"shop:\" is no namespace:name\n"},
       {"a: x # {\"$imagepolicy\": \"shop::tag\"}\n",
        "1: the marker \"shop::tag\" is no namespace:name\n"},
       {"a: x # {\"$imagepolicy\": \"\"}\n", "1: the marker \"\" is no namespace:name\n"},
       {"a: x # {\"$imagepolicy\": \"shop:app:\"}\n",
        "1: the marker \"shop:app:\" ends in none of :tag, :name, :digest\n"},
       {"a: x # {\"$imagepolicy\": \"shop:app:tags\"}\n",
        "1: the marker \"shop:app:tags\" ends in none of :tag, :name, :digest\n"},
       {"a: x # {\"$imagepolicy\": \"shop:app:tag:name\"}\n",
        "1: the marker \"shop:app:tag:name\" ends in none of :tag, :name, :digest\n"},
       {"a: x # {\"$imagepolicy\": 1}\n", "1: a marker holds strings alone\n"},
       {"a: x # {\"$imagepolicy\": \"shop:app\", \"x\": null}\n",
        "1: a marker holds strings alone\n"},
       {"a: x # {\"$imagepolicy\": \"shop:none\"}\nb: x # {\"$imagepolicy\": \"x:y:digest\"}\n",
        "1: unknown shop:none\n2: unknown x:y\n"},
       {"a: x # {\"$imagepolicy\": \"shop:app:digest\"}\n",
        "1: the policy \"shop:app\" gives no digest\n"}});
}

TEST(MarkersTest, WhatAMarkerDoesNotReplace) {
  const auto beside = [](std::size_t line, std::string_view what) {
    return std::to_string(line) + ": the marker of \"shop:app\" stands beside " +
           std::string(what) + "\n";
  };
  const std::string m = " # {\"$imagepolicy\": \"shop:app\"}\n";
  expect_left_alone({
      {"# {\"$imagepolicy\": \"shop:app\"}\na: x\n", beside(1, "no value")},
      {"a: x\n" + m, beside(2, "no value")},
      {"a:" + m + "  x\n", beside(1, "no value")},
      {"a:" + m + "  b: x\n", beside(1, "no value")},
      {"a:" + m + "- x\n", beside(1, "no value")},
      {"a:\n-" + m + "  x\n", beside(2, "no value")},
      {"a: [\n x\n , " + m + " y]\n", beside(3, "no value")},
      {"a: &x" + m + "  x\n", beside(1, "no value")},
      {"a: x\n..." + m, beside(2, "no value")},
      {"a:" + m, beside(1, "an empty value")},
      {"a: !!str" + m, beside(1, "an empty value")},
      {"a: &b" + m + "c: *b" + m, beside(1, "an empty value") + beside(2, "an alias")},
      {"? x" + m + ": y\n", beside(1, "a key")},
      {"? [\n  x" + m + "  ]\n: y\n", beside(2, "a key")},
      {"? {a: {\n  b: x" + m + "  }}\n: y\n", beside(2, "a key")},
      {"a: {b: x}" + m, beside(1, "a closing bracket")},
      {"a: [[x, y] ]" + m, beside(1, "a closing bracket")},
      {"a: {b: {c: [ x ], }" + m + "  }\n", beside(1, "a closing bracket")},
      {"a: |" + m + "  x\n", beside(1, "a block of text")},
      {"a: &x >-" + m + "  x\n" + m, beside(1, "a block of text") + beside(3, "no value")},
      {"a: |2+" + m + "    x\n " + m + m, beside(1, "a block of text") + beside(4, "no value")},
      {"a: x\n  y" + m, beside(2, "a value of several lines")},
      {"a: 'x\n  y'" + m, beside(2, "a value of several lines")},
      {"a: &b:c" + m, beside(1, "a value that begins at its anchor's end")},
      {"a: !!int 5" + m, beside(1, "a value whose tag says that it is no string")},
  });
}

TEST(MarkersTest, AValueThatIsEqualIsNoChange) {
  expect_left_alone({{R"(a: ghcr.io/x/app:1.10.3 # {"$imagepolicy": "shop:app"}
b: "1.10" # {"$imagepolicy": "shop:short:tag"}
c: "1\x2E10" # {"$imagepolicy": "shop:short:tag"}
)",
                      ""}});
}

TEST(MarkersTest, WhatIsNoImageIsNotWritten) {
  for (const PolicyImage& image :
       {PolicyImage{.name = "a b", .tag = "1"}, PolicyImage{.name = "a", .tag = "1\n"},
        PolicyImage{.name = "a", .tag = "\"1"}, PolicyImage{.name = "\xC3\xA4", .tag = "1"},
        PolicyImage{.name = "a", .tag = ""}, PolicyImage{.name = "", .tag = "1"}}) {
    const std::string text = "a: x # {\"$imagepolicy\": \"n:p\"}\n";
    const auto result = rewrite_markers(text, {{"n:p", image}});
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->text, text);
    EXPECT_EQ(result->troubles.size(), 1U);
  }
}

TEST(MarkersTest, WhatIsNoYamlIsRefusedWithItsLine) {
  const std::vector<Example> examples = {
      {"kind: Deployment\nspec:\n{{- if .Values.on }}\n  image: x\n{{- end }}\n",
       "line 4: could not find expected ':' (while scanning a simple key, from line 3)"},
      {"a: x\nb: [y\n", "line 3: "},
      {"a: x\nb: \"y\n", "line 3: "},
      {"a: x\n\tb: y\n", "line 2: "},
      {"a: x\nb: y: z\n", "line 2: "},
      {"\xFF\xFE"
       "a\0:\0 \0x\0\n\0"s,
       "line 1: "},
      {"\xFE\xFF\0a\0:\0 \0x\0\n"s, "line 1: "},
      {"a: x\nb: \xC3\x28\n", "line 2: "},
      {"a: x\n\nb: \x01\n", "line 3: "},
      {"a: x\nb: \0\n"s, "line 2: "},
      {"%YAML 2.0\n---\na: x\n", "line 1: "}};
  for (const auto& [text, line] : examples) {
    const auto result = rewrite_markers(text, images());
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
    EXPECT_TRUE(result.error().message.starts_with(line)) << result.error().message << text;
  }
}

TEST(MarkersTest, Bounds) {
  std::string text = "a: x # {\"$imagepolicy\": \"shop:app:tag\"}\n#";
  text.resize(kMaxMarkedFileBytes, '#');
  EXPECT_EQ(rewritten(text).changes.size(), 1U);
  const auto large = rewrite_markers(text + "#", images());
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().kind, ErrorKind::kTooLarge);

  const auto nested = [](std::size_t levels) {
    return rewrite_markers("\n" + std::string(levels, '[') + std::string(levels, ']'), {});
  };
  EXPECT_TRUE(nested(kMaxYamlNesting).has_value());
  const auto deep = nested(kMaxYamlNesting + 1);
  ASSERT_FALSE(deep.has_value());
  EXPECT_EQ(deep.error().kind, ErrorKind::kTooLarge);
  EXPECT_EQ(deep.error().message, "line 2: nested deeper than 100 levels");
  EXPECT_FALSE(nested(kMaxMarkedFileBytes / 2 - 1).has_value());
}

// As many markers as there is room for, every line a change: linear, and told one by one.
TEST(MarkersTest, AFileFullOfMarkers) {
  std::string text;
  std::string expected;
  std::size_t lines = 0;
  const std::string line = "- x # {\"$imagepolicy\": \"shop:short:tag\"}\n";
  for (; text.size() + line.size() <= kMaxMarkedFileBytes; ++lines) {
    text += line;
    expected += "- \"1.10\" # {\"$imagepolicy\": \"shop:short:tag\"}\n";
  }
  const Rewritten result = rewritten(text);
  EXPECT_EQ(result.text, expected);
  ASSERT_EQ(result.changes.size(), lines);
  EXPECT_EQ(result.changes.back().line, lines);
}

TEST(MarkersTest, Screening) {
  EXPECT_TRUE(may_have_markers("a: x # {\"$imagepolicy\": \"shop:app\"}"));
  EXPECT_FALSE(may_have_markers("a: x # {\"$image\": \"policy\"}"));
  EXPECT_FALSE(may_have_markers(""));
  EXPECT_EQ(told(rewritten("")), "");
  EXPECT_EQ(told(rewritten("\xEF\xBB\xBF")), "");
}

}  // namespace
}  // namespace tidemark::gitops
