# Tidemark's image: one static program under its three names, on nothing.
#
#   docker build -t tidemark .          or, without an engine:  tests/cluster/image build
#
# Stages: deps (compiler and libraries), build (Tidemark), and the image itself.
ARG DEBIAN=docker.io/library/debian:trixie-slim

FROM ${DEBIAN} AS deps
ENV DEBIAN_FRONTEND=noninteractive
# Debian has these as static libraries, or as headers alone (spdlog and fmt are used that way).
RUN sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources \
 && apt-get update -q \
 && apt-get install -y -q --no-install-recommends \
      ca-certificates ccache cmake dpkg-dev g++ meson ninja-build pkgconf \
      libcli11-dev libfmt-dev libhttp-parser-dev libre2-dev libsimdjson-dev libspdlog-dev libssl-dev libyaml-cpp-dev libyaml-dev \
      nlohmann-json3-dev tzdata zlib1g-dev libzstd-dev \
 # simdjson's static library has another name than the one its pkg-config file tells the linker.
 && ln -s libsimdjson_static.a "/usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)/libsimdjson.a"
# Debian has the first two as shared libraries only: its own sources, compiled here without the parts Tidemark does not use.
# Of prometheus-cpp the archive alone: its packaging is about shared libraries and is not used here. Debian's libssh2 is built
# with libgcrypt, and so reads no Ed25519 keys and none in OpenSSH's format; here it is OpenSSL's. libgit2 then needs no TLS of
# its own: it is given net/'s client for HTTPS.
WORKDIR /usr/src
RUN apt-get source -q cpp-httplib \
 && apt-get source -q --tar-only prometheus-cpp \
 && tar xf prometheus-cpp_*.orig.tar.* \
 && meson setup httplib-build cpp-httplib-*/ --prefix=/usr/local --libdir=lib --buildtype=release \
      -Ddefault_library=static -Dcpp-httplib_compile=true -Dcpp-httplib_openssl=enabled \
      -Dcpp-httplib_zlib=disabled -Dcpp-httplib_brotli=disabled \
 && meson install -C httplib-build \
 && cmake -S prometheus-cpp-*/ -B prometheus-build -G Ninja -DCMAKE_INSTALL_PREFIX=/usr/local \
      -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
      -DENABLE_PULL=OFF -DENABLE_PUSH=OFF -DENABLE_COMPRESSION=OFF -DENABLE_TESTING=OFF \
 && cmake --build prometheus-build && cmake --install prometheus-build \
 && apt-get source -q libssh2 && apt-get source -q libgit2 \
 && cmake -S libssh2-*/ -B libssh2-build -G Ninja -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_INSTALL_LIBDIR=lib \
      -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCRYPTO_BACKEND=OpenSSL -DBUILD_EXAMPLES=OFF -DBUILD_TESTING=OFF \
 && cmake --build libssh2-build && cmake --install libssh2-build \
 && sed -i 's/ *-lgpg-error//g; s/ *-lgcrypt//g' /usr/local/lib/pkgconfig/libssh2.pc \
 && PKG_CONFIG_PATH=/usr/local/lib/pkgconfig cmake -S libgit2-*/ -B libgit2-build -G Ninja -DCMAKE_INSTALL_PREFIX=/usr/local \
      -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTS=OFF -DBUILD_CLI=OFF \
      -DUSE_HTTPS=OFF -DUSE_SSH=libssh2 -DUSE_SHA1=CollisionDetection -DUSE_SHA256=Builtin -DUSE_HTTP_PARSER=http-parser \
      -DUSE_NTLMCLIENT=OFF -DUSE_GSSAPI=OFF -DREGEX_BACKEND=regcomp \
 && cmake --build libgit2-build && cmake --install libgit2-build \
 && rm -rf /usr/src/*

FROM deps AS build
WORKDIR /src
COPY . .
# Sections and link-time optimisation let the linker drop what no program reaches. Debian 13's OpenSSL deprecates functions
# that Debian 12's has no others for: told, but no error here.
RUN --mount=type=cache,target=/root/.cache/ccache \
    PKG_CONFIG_PATH=/usr/local/lib/pkgconfig meson setup /build --prefix=/usr \
      --buildtype=release -Doptimization=2 -Db_lto=true -Dstatic_image=true -Dtests=false \
      -Dcpp_args='-ffunction-sections -fdata-sections -Wno-error=deprecated-declarations' -Dcpp_link_args='-Wl,--gc-sections' \
 && ninja -j "$(nproc)" -C /build tidemark/tidemark
RUN mkdir -p /image/etc/ssl/certs /image/usr/share \
 && cp -a /usr/share/zoneinfo /image/usr/share/ \
 && rm -rf /image/usr/share/zoneinfo/posix /image/usr/share/zoneinfo/right /image/usr/share/zoneinfo/*.* \
 && strip -o /image/tidemark /build/tidemark/tidemark \
 && ln -s tidemark /image/tidemark-webhook \
 && ln -s tidemark /image/tidemark-sweeper \
 && ln -s tidemark /image/kubectl-tidemark \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && echo 'tidemark:x:65532:65532::/:/' >/image/etc/passwd \
 && echo 'tidemark:x:65532:' >/image/etc/group

FROM scratch
COPY --from=build /image/ /
# The static OpenSSL looks for authorities where Debian has them by packages that are not here.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/tidemark"]
