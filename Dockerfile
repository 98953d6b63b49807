# Tidemark's image: one static program under its three names, on nothing.
#
#   docker build -t tidemark .          or, without an engine:  tests/cluster/image build
#
# Stages: deps (compiler and libraries), build (Tidemark), parts (what it is made of), and the image itself.
ARG DEBIAN=docker.io/library/debian:trixie-slim

# Compilers run on the builder's machine, for that of the image: TARGETARCH is amd64 or arm64, as Debian calls them too.
FROM --platform=$BUILDPLATFORM ${DEBIAN} AS deps
ENV DEBIAN_FRONTEND=noninteractive
RUN sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources \
 && apt-get update -q \
 && apt-get install -y -q --no-install-recommends ca-certificates ccache cmake dpkg-dev meson ninja-build tzdata
ARG TARGETARCH
# Debian has these as static libraries, or as headers alone (spdlog and fmt are used that way).
RUN dpkg --add-architecture "$TARGETARCH" \
 && apt-get update -q \
 && apt-get install -y -q --no-install-recommends libcli11-dev nlohmann-json3-dev $(printf "%s:$TARGETARCH " \
      g++-for-host pkgconf libfmt-dev libhttp-parser-dev libre2-dev libsimdjson-dev libspdlog-dev libssl-dev libyaml-cpp-dev \
      libyaml-dev zlib1g-dev libzstd-dev)
RUN triplet=$(dpkg-architecture -a "$TARGETARCH" -q DEB_HOST_MULTIARCH 2>/dev/null) \
 # simdjson's static library has another name than the one its pkg-config file tells the linker.
 && ln -s libsimdjson_static.a "/usr/lib/$triplet/libsimdjson.a" \
 && meson env2mfile --cross --debarch "$TARGETARCH" -o /etc/cross.ini \
 && sed -i "s,^c\(pp\|\) = \[,&'ccache'\, ,; s,-ar',-gcc-ar'," /etc/cross.ini \
 && printf 'set(CMAKE_%s)\n' "SYSTEM_NAME Linux" "SYSTEM_PROCESSOR ${triplet%%-*}" "C_COMPILER $triplet-gcc" \
      "CXX_COMPILER $triplet-g++" "LIBRARY_ARCHITECTURE $triplet" >/etc/cross.cmake \
 && printf 'set(PKG_CONFIG_EXECUTABLE %s)\n' "/usr/bin/$triplet-pkg-config" >>/etc/cross.cmake
ENV CMAKE_TOOLCHAIN_FILE=/etc/cross.cmake
# Debian has the first two as shared libraries only: its own sources, compiled here without the parts Tidemark does not use.
# Of prometheus-cpp the archive alone: its packaging is about shared libraries and is not used here. Debian's libssh2 is built
# with libgcrypt, and so reads no Ed25519 keys and none in OpenSSH's format; here it is OpenSSL's. libgit2 then needs no TLS of
# its own: it is given net/'s client for HTTPS. It looks whether libssh2 takes a key from memory, by linking: for which a static
# libssh2 needs its own libraries. Each goes to /opt/<source package>, with its version.
WORKDIR /usr/src
RUN apt-get source -q cpp-httplib \
 && apt-get source -q --tar-only prometheus-cpp \
 && tar xf prometheus-cpp_*.orig.tar.* \
 && meson setup httplib-build cpp-httplib-*/ --cross-file /etc/cross.ini --prefix=/opt/cpp-httplib --libdir=lib \
      --buildtype=release -Ddefault_library=static -Dcpp-httplib_compile=true -Dcpp-httplib_openssl=enabled \
      -Dcpp-httplib_zlib=disabled -Dcpp-httplib_brotli=disabled \
 && meson install -C httplib-build \
 && cmake -S prometheus-cpp-*/ -B prometheus-build -G Ninja -DCMAKE_INSTALL_PREFIX=/opt/prometheus-cpp \
      -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
      -DENABLE_PULL=OFF -DENABLE_PUSH=OFF -DENABLE_COMPRESSION=OFF -DENABLE_TESTING=OFF \
 && cmake --build prometheus-build && cmake --install prometheus-build \
 && apt-get source -q libssh2 && apt-get source -q libgit2 \
 && cmake -S libssh2-*/ -B libssh2-build -G Ninja -DCMAKE_INSTALL_PREFIX=/opt/libssh2 -DCMAKE_INSTALL_LIBDIR=lib \
      -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCRYPTO_BACKEND=OpenSSL -DBUILD_EXAMPLES=OFF -DBUILD_TESTING=OFF \
 && cmake --build libssh2-build && cmake --install libssh2-build \
 && sed -i 's/ *-lgpg-error//g; s/ *-lgcrypt//g' /opt/libssh2/lib/pkgconfig/libssh2.pc \
 && PKG_CONFIG_PATH=/opt/libssh2/lib/pkgconfig cmake -S libgit2-*/ -B libgit2-build -G Ninja \
      -DCMAKE_INSTALL_PREFIX=/opt/libgit2 -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_PREFIX_PATH=/opt/libssh2 \
      -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTS=OFF -DBUILD_CLI=OFF \
      -DUSE_HTTPS=OFF -DUSE_SSH=libssh2 -DUSE_SHA1=CollisionDetection -DUSE_SHA256=Builtin -DUSE_HTTP_PARSER=http-parser \
      -DUSE_NTLMCLIENT=OFF -DUSE_GSSAPI=OFF -DREGEX_BACKEND=regcomp '-DCMAKE_REQUIRED_LIBRARIES=crypto;z;zstd' \
 && grep 'define GIT_SSH.*MEMORY_CREDENTIALS 1' libgit2-build/src/util/git2_features.h \
 && cmake --build libgit2-build && cmake --install libgit2-build \
 && for source in /opt/*; do \
      (cd / && apt-get source -qq --print-uris --only-source --dsc-only "${source##*/}") \
      | sed -nE 's/.* [^ ]*_([^_ ]+)\.dsc .*/\1/p' >"$source/version"; \
    done \
 && rm -rf /usr/src/*

FROM deps AS build
WORKDIR /src
COPY . .
ARG TARGETARCH
# The commit that --version tells; and any value of CCACHE_DISABLE compiles without what the compiler cache holds.
ARG COMMIT=unknown
ARG CCACHE_DISABLE
# Sections and link-time optimisation let the linker drop what no program reaches. libgit2's pkg-config file does not say where
# libssh2 is. The C library is the target's own package, which is brought up to date, and not the cross compiler's copy.
RUN --mount=type=cache,target=/root/.cache/ccache \
    triplet=$(dpkg-architecture -a "$TARGETARCH" -q DEB_HOST_MULTIARCH 2>/dev/null) \
 && PKG_CONFIG_PATH=$(printf '%s:' /opt/*/lib/pkgconfig) meson setup /build --cross-file /etc/cross.ini --prefix=/usr \
      --buildtype=release -Doptimization=2 -Db_lto=true -Dstatic_image=true -Dtests=false "-Dcommit=$COMMIT" \
      -Dcpp_args='-ffunction-sections -fdata-sections' \
      "-Dcpp_link_args=-B/usr/lib/$triplet -L/opt/libssh2/lib -Wl,--gc-sections,-Map=/build/tidemark.map" \
 && ninja -j "$(nproc)" -C /build tidemark/tidemark \
 && mkdir -p /image && "$triplet-strip" -o /image/tidemark /build/tidemark/tidemark
RUN mkdir -p /image/etc/ssl/certs /image/usr/share \
 && cp -a /usr/share/zoneinfo /image/usr/share/ \
 && rm -rf /image/usr/share/zoneinfo/posix /image/usr/share/zoneinfo/right /image/usr/share/zoneinfo/*.* \
 && ln -s tidemark /image/tidemark-webhook \
 && ln -s tidemark /image/tidemark-sweeper \
 && ln -s tidemark /image/kubectl-tidemark \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && echo 'tidemark:x:65532:65532::/:/' >/image/etc/passwd \
 && echo 'tidemark:x:65532:' >/image/etc/group

# What `./dev release` makes the list of parts from.
FROM build AS listed
RUN release/parts /build >/parts
FROM scratch AS parts
COPY --from=listed /parts /

FROM scratch
COPY --from=build /image/ /
# The static OpenSSL looks for authorities where Debian has them by packages that are not here.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# A thread keeps as many freed pieces of each size for itself as an admission makes, in place of 7, and a review's text too, in
# place of what is up to 1 KiB: beyond them threads wait for each other's heap.
ENV GLIBC_TUNABLES=glibc.malloc.tcache_count=32:glibc.malloc.tcache_max=16384
USER 65532:65532
ENTRYPOINT ["/tidemark"]
