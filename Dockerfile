# The image of the controller: one static binary on a base that has CA certificates and no shell.
#
# Static by musl: a base with glibc would about double the image, and a static glibc still loads its own
# libraries when it resolves a name. musl's allocator is the slower one, which matters little to one thread
# that waits for the network, and takes less memory. Each architecture is built on a machine of its own kind;
# nothing is cross-compiled. Paths in the build are fixed and nothing records the time, so the same sources and
# base image give the same binary.
#
# The AWS SDK and the Kubernetes client read the CA certificates from the file system when they start:
# RUNTIME_IMAGE must have /etc/ssl/certs/ca-certificates.crt. None are built into the binary, so that a
# cluster with its own CA can mount that file.
# By tag; renovate.json adds and moves the digests.
ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-slim-trixie
ARG RUNTIME_IMAGE=gcr.io/distroless/static-debian13:nonroot
# A stripped binary does not name its crates: the SBOM finds them in Cargo.lock, in the build context.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true

FROM ${BUILD_IMAGE} AS build
# aws-lc-sys compiles C for musl.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/* \
 && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
# The cache mounts keep what was downloaded and the compiled dependencies; a layer of dependencies with
# dummy sources would need this twice. cargo goes by time stamps, and a checkout can be older than the
# cache: touch has our own crate compiled each time.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-musl" \
 && touch src/lib.rs src/main.rs \
 && TARGET_CC=musl-gcc cargo build --locked --release --package streamrole --target "$target" \
 && cp "target/$target/release/streamrole" /streamrole

FROM ${RUNTIME_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="streamrole" \
      org.opencontainers.image.description="Kubernetes controller for the IAM role that lets Amazon Pinpoint stream events to Kinesis or Firehose" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /streamrole /streamrole
# By number, so that the kubelet can see that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/streamrole"]
